"""Commands about the appliance and its files."""
