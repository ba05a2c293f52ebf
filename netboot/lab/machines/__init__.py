"""Virtual machines: QEMU, consoles, timelines."""
