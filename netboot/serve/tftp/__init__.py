"""The TFTP server: requests, transfers, reads from disk."""
