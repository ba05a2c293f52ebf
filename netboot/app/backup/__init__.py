"""Verifies a store in place: its pages, its tables, and every row by the types that read it."""
