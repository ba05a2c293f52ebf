"""The appliances that share one store."""
