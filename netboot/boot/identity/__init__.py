"""Whether a machine is the one of its MAC: evidence, alarms, and armed installs that wait for a person."""
