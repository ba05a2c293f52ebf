"""The command line. Exit codes everywhere: 0 fine, 1 failed, 2 wrong use or wrong configuration."""
