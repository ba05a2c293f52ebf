"""What `netboot doctor` gathers for the areas that need the daemon: the content, and one host."""
