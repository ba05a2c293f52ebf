"""The requests about the cluster: the Ignition files of its roles."""
