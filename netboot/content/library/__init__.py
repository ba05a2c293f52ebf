"""The content directory: staging, locks, records, uploads."""
