"""What the lab boots: a stand-in installer and an installed system."""
