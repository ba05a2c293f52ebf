"""Several appliances on one store: what a daemon reads again of the others' changes."""
