"""What is known of each machine on the boot LAN."""
