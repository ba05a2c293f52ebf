"""The hosts files that commands write: one per host, in a directory of `hosts.files`."""
