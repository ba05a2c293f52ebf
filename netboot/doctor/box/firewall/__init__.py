"""Decides from the firewall's rules whether the packets of a boot pass, and names the command that permits them."""
