"""The page of the cluster: its roles and their Ignition files."""
