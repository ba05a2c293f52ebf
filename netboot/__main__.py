"""`python -m netboot` is `netboot`."""

from netboot.cli.main import main

main()
