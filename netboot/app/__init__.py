"""The composition root: builds services and listeners from the settings, runs, reloads and stops them."""
