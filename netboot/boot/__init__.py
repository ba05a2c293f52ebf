"""Decides what a machine does next. Handles no packets."""
