"""How far a run of the emulated card is, live on a terminal."""

from contextlib import AbstractContextManager, nullcontext

from rich.console import RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from skbpool._native import EmulatedNic
from skbpool.cli.output import progress_console, with_unit

LOOKS_A_SECOND = 8

BAR = 16
"""Columns of the bar, so that the line fits a terminal of 80."""


def progress(
    card: EmulatedNic, duration: float | None, frames: int | None
) -> AbstractContextManager[object]:
    """Show how far the card is while the context lasts; nothing if nobody looks."""
    console = progress_console()
    if console is None:
        return nullcontext()
    return Live(
        get_renderable=lambda: _line(card, duration, frames),
        console=console,
        refresh_per_second=LOOKS_A_SECOND,
        transient=True,
    )


def _line(card: EmulatedNic, duration: float | None, frames: int | None) -> RenderableType:
    figures = card.report()
    seconds, offered = figures["seconds"], figures["offered"]
    missed = sum(totals["frames"] for totals in figures["dropped"].values())
    parts: list[RenderableType] = []
    if frames is not None:
        parts.append(ProgressBar(total=frames, completed=offered, width=BAR))
    elif duration is not None:
        parts.append(ProgressBar(total=duration, completed=seconds, width=BAR))
    parts.append(f"{seconds:5.1f} s")
    parts.append(f"{offered:,} frames")
    parts.append(with_unit(offered / seconds if seconds else 0.0, "frames/s"))
    parts.append(f"{missed:,} dropped")
    grid = Table.grid(padding=(0, 2))
    for _ in parts:
        grid.add_column(no_wrap=True)
    grid.add_row(*parts)
    return grid
