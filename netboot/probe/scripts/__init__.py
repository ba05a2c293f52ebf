"""Interpreters of iPXE and GRUB scripts: those that this server renders, and usual ones of operators."""
