"""The power of a host's machine on its page, and the form for the credentials of its BMC."""
