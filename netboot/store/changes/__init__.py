"""What one appliance changes in a shared store, as the others learn of it."""
