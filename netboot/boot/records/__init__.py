"""What is stored of each boot in files: to which boot it belongs, how much is taken, what is hidden."""
