"""What an operator can request of the power of machines, and how it is sent to their BMCs."""
