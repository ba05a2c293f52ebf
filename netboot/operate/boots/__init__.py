"""What an operator sees of the boots of machines."""
