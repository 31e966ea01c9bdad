"""What the daemon calls its methods, in the words of the command line."""

import re

VERBS = {
    "GetStatistics": "stat",
    "ListPools": "pool list",
    "CreatePool": "pool create",
    "ClosePool": "pool close",
    "WatchPools": "watch",
    "ListHolders": "holder list",
    "RevokeSession": "holder revoke",
    "ListDrivers": "driver list",
    "AttachEmulatedNic": "driver attach",
    "AttachReplay": "driver attach",
    "DetachDriver": "driver detach",
}
"""The command for each method that a refusal may advise."""


def in_commands(text: str) -> str:
    """Return what the daemon said, with the commands for the methods that it names."""
    return re.sub(r"\b[A-Z]\w+\b", lambda found: _command(found[0]), text)


def _command(word: str) -> str:
    return f"'skbpool {VERBS[word]}'" if word in VERBS else word
