"""Views of boots: their steps, and what they wait for."""
