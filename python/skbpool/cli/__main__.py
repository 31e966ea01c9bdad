"""`python -m skbpool.cli`."""

from skbpool.cli import main

main()
