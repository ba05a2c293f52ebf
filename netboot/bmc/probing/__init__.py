"""What a BMC can do, and a record of its answers without secrets."""
