"""The cluster that the hosts make up: the Ignition files of `ocne` and `byo.yaml`, checked against each other."""
