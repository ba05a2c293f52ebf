"""Commands about the cluster that the hosts make up."""
