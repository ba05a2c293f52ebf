"""Virtual machines: QEMU, their consoles, what they report."""
