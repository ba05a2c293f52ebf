"""What differs between firmwares: reply variants, loaders, requested file names."""
