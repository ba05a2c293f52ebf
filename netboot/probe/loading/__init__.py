"""What a simulated machine loads before its installer: loaders, their second stages, and their scripts."""
