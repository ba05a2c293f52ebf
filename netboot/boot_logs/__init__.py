"""The logs of machines: a file of lines for each boot, within one disk budget."""
