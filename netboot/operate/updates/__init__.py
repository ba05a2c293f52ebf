"""What the nodes run, have downloaded and are offered, and what an operator types next."""
