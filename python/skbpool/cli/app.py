"""The command and its subcommands, and how it ends."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import skbpool
from skbpool.cli import driver, holder, lease, nic, pool, stat, subscribe, watch
from skbpool.cli.failure import explain
from skbpool.cli.plugins import Command, CommandGroup
from skbpool.cli.reader_gone import ReaderGone
from skbpool.exit_codes import ExitCode

HELP = """Packet buffers over gRPC: drive the daemon, take frames out of it, look inside.

\b
Examples:
  skbpool serve                                  start the daemon
  skbpool nic --rate 1Gbps --size 64 --duration 10s
  skbpool nic -r trace.pcap                      replay a capture into it
  skbpool subscribe -w out.pcapng -c 1000        take 1000 frames out of it
  skbpool stat --json                            its pools, holders and drops
  skbpool holder list                            who holds its buffers, and for how long
  skbpool watch                                  what happens to its pools
"""

EPILOG = """\b
Exit codes, of every subcommand:
    0  done, or stopped in order by Ctrl-C or SIGTERM
    1  something failed while it ran
    2  unknown flags, values out of range, unusable configuration
    3  an address to listen on is busy or cannot be used
    4  the daemon cannot be reached, or the connection was lost
    5  the daemon refused the request
    6  a capture file cannot be read or written
  130  Ctrl-C before it had begun, or a second signal, ended it at once
  143  SIGTERM before it had begun ended it at once

\b
Environment:
  SKBPOOL_SERVER   address of the daemon, as --server; grpcs://HOST:PORT speaks TLS
  SKBPOOL_TLS_CA, SKBPOOL_TLS_CERTIFICATE, SKBPOOL_TLS_PRIVATE_KEY
                   files for TLS, as --tls-ca, --tls-certificate and --tls-private-key
  NO_COLOR         no colours
"""

app = typer.Typer(
    name="skbpool",
    cls=CommandGroup,
    help=HELP,
    epilog=EPILOG,
    rich_markup_mode=None,  # \b keeps examples and tables as they are written
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for function, text in (
    (nic.nic, nic.HELP),
    (subscribe.subscribe, subscribe.HELP),
    (stat.stat, stat.HELP),
    (watch.watch, watch.HELP),
):
    app.command(cls=Command, help=text)(function)
app.add_typer(driver.app)
app.add_typer(holder.app)
app.add_typer(lease.app)
app.add_typer(pool.app)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"skbpool {skbpool.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
    tls_ca: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Speak TLS, and trust what these authorities signed."),
    ] = None,
    tls_certificate: Annotated[
        str | None, typer.Option(metavar="FILE", help="Speak TLS, and show this certificate.")
    ] = None,
    tls_private_key: Annotated[
        str | None, typer.Option(metavar="FILE", help="Key of that certificate.")
    ] = None,
) -> None:
    # Flags go before the environment, which whatever connects looks at.
    files = {"CA": tls_ca, "CERTIFICATE": tls_certificate, "PRIVATE_KEY": tls_private_key}
    os.environ.update({f"SKBPOOL_TLS_{key}": file for key, file in files.items() if file})
    if context.invoked_subcommand is None:
        print(context.get_help())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; whatever goes wrong becomes one line."""
    command = typer.main.get_command(app)
    try:
        code = command.main(args=arguments, prog_name="skbpool", standalone_mode=False)
        sys.stdout.flush()
    except (ReaderGone, BrokenPipeError):
        # What is left in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except KeyboardInterrupt:
        return ExitCode.FORCED
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else ExitCode.FAILURE
    except Exception as error:
        line, exit_code = explain(error)
        print(line, file=sys.stderr)
        if os.environ.get("SKBPOOL_TRACEBACK") == "1":
            raise
        return exit_code
    return code if isinstance(code, int) else ExitCode.OK
