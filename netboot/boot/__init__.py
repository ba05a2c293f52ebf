"""What a machine should do next. Never sees a packet."""
