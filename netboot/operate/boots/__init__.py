"""What operators see of boots: what each one waits for."""
