"""The appliances of a shared store."""
