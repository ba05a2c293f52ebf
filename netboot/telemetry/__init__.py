"""Counters and the format of log lines."""
