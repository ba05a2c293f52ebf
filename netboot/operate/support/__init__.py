"""The support archive: all that explains the boots of a machine, without secrets, in one file."""
