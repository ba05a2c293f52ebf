"""The ordered rollout: what is done next, its schedule, its commands, and the runner."""
