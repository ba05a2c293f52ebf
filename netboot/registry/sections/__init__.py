"""Parts of the hosts files with readers of their own: address pools and BMCs."""
