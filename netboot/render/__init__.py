"""Scripts, Kickstarts and Ignition, from templates. Pure."""
