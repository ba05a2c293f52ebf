"""The running appliance: its parts, their start and stop, and what it reports of them."""
