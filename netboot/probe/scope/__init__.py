"""What a simulation may send as a machine: its identity, and what the appliance has of it."""
