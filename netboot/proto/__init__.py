"""How it is said on the wire: bytes and time in, bytes and deadlines out. Never decides."""
