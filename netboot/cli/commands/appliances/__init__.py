"""The command of the appliances that share a store."""
