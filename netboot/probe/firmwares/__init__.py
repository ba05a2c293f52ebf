"""Which messages a firmware sends, in which order of options and at which times; the table of all of them."""
