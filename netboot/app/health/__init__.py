"""How the appliance shows what fails on it, and that it works again."""
