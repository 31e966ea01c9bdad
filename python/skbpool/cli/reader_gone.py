"""What ends a command whose output nobody reads any more."""


class ReaderGone(Exception):
    """Whoever read the output has had enough."""
