"""The first page: the rack."""
