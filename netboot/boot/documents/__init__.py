"""The documents of one host, and what they are made from."""
