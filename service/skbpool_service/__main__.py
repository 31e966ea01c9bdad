"""`python -m skbpool_service`: the same as `skbpool serve`."""

import typer

from skbpool_service.cli import serve

typer.run(serve)
