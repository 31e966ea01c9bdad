"""Exit codes of the command `skbpool`, every subcommand's."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the exit code of `skbpool` means; a code never changes its meaning."""

    OK = 0
    """Done, or stopped in order by SIGINT or SIGTERM."""

    FAILURE = 1
    """Something failed while it ran; the line on standard error says what."""

    USAGE = 2
    """Unknown flags, values out of range, or a configuration that cannot be used."""

    ADDRESS = 3
    """An address to listen on is busy, or may not or cannot be used."""

    UNREACHABLE = 4
    """The daemon cannot be reached, or the connection to it was lost."""

    REFUSED = 5
    """The daemon refused the request: a limit, a name that is taken or unknown, a bad value."""

    CAPTURE = 6
    """A capture file cannot be read or written; what came before the fault was used."""

    FORCED = 130
    """Ctrl-C before it had begun, or a second signal, ended the command at once, without waiting
    for what was under way."""

    TERMINATED = 143
    """SIGTERM before it had begun: it died of the signal, which shells report so."""
