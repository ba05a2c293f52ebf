"""BMCs as hosts files declare them, and what a BMC was found to do. Pure."""
