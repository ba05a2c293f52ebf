"""Commands about hosts and their installs."""
