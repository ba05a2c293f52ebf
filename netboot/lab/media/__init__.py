"""The lab's boot media: a stand-in installer and an installed system."""
