"""How simulations are printed."""
