"""Hosts are declared, changed, approved and removed by commands."""
