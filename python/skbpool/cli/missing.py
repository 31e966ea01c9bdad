"""What the command needs beside the bare library."""

NEEDED = ("grpc", "google", "rich", "typer")
"""Modules of the extra `client`, without which the command cannot do anything."""


def what_is_missing(error: ImportError) -> str | None:
    """Return what to install; None if `error` is about something else."""
    if (error.name or "").partition(".")[0] not in NEEDED:
        return None
    return (
        f"the command needs {error.name}, which the bare library does without: "
        "pip install 'skbpool[client]'"
    )
