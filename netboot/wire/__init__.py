"""Codecs: bytes and time in, bytes and deadlines out. Never decides."""
