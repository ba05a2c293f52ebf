"""What differs between firmwares: reply variants, boot loaders, requested file names."""
