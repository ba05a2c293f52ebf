"""Files of each boot of each machine, within one disk budget: the log of the machine."""
