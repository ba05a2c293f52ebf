"""The daemon as a process of this computer: signals, limits, its state for systemd."""
