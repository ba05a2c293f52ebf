"""What the lab boots: a stand-in installer, an installed system, boot loaders."""
