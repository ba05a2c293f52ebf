"""A PXE/iPXE netboot appliance for Oracle Cloud Native Environment nodes."""

__version__ = "0.1.0"
