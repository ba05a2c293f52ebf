"""The commands of `ocne` and the API of its cluster."""
