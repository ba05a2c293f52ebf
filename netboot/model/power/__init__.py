"""Power of machines: their BMCs, what an operator requests, and what is refused. Pure."""
