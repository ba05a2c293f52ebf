"""Bare-metal hosts of Metal3 and MOSK: their disks and BMCs."""
