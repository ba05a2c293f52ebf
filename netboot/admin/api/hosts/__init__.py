"""The routes of hosts, machines and installs."""
