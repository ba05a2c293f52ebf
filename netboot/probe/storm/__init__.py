"""A boot storm: many simulated machines at once, how long each step took, and what failed."""
