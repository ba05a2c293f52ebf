"""The interface through which simulated machines send and receive, with the addresses that they get on it."""
