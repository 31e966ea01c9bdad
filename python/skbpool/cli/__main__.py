"""`python -m skbpool.cli`."""

from skbpool_command import main

main()
