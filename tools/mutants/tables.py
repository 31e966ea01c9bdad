"""Mutations written by hand, and arguments for those that change nothing.

Each table is TOML. A mutation names a file, a function (or the line that an item begins with) and
edits; white space in what is searched for means any white space, so formatting does not matter.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .rust import Source, closing
from .sources import CORE

TABLES = Path(__file__).resolve().parent / "tables"


class NotApplied(Exception):
    """What a mutation changes is not there, or not there once."""


@dataclass(frozen=True)
class Written:
    """One change: in the item that `item` begins, each edit once."""

    name: str
    file: str  # below core/
    item: str
    edits: list[list[str]]

    @property
    def crate(self) -> str:
        """The folder of the crate."""
        return self.file.partition("/")[0]

    def apply(self) -> tuple[Path, str]:
        """Return the file and its text with this mutation."""
        path = CORE / self.file
        if not path.is_file():
            raise NotApplied(f"{self.file} is not there")
        text = path.read_text()
        start, end = self._item(Source(text))
        body = text[start:end]
        for find, replace in self.edits:
            words = [re.escape(word) for word in find.split()]
            found = list(re.finditer(r"\s+".join(words), body))
            if len(found) != 1:
                raise NotApplied(f"{find!r} is there {len(found)} times in {self.item!r}")
            body = body[: found[0].start()] + replace.strip() + body[found[0].end() :]
        return path, text[:start] + body + text[end:]

    def _item(self, source: Source) -> tuple[int, int]:
        if self.item.isidentifier():
            spans = [(start, end) for start, end, name in source.functions if name == self.item]
        else:
            begins = re.finditer(re.escape(self.item), source.code)
            opens = [(found.start(), source.code.index("{", found.start())) for found in begins]
            spans = [(start, closing(source.code, at) + 1) for start, at in opens]
        if len(spans) != 1:
            raise NotApplied(f"{self.item!r} is there {len(spans)} times in {self.file}")
        return spans[0]


def written(table: str) -> list[Written]:
    """Return the mutations of a table: `models` or `tests` judge them."""
    listed = tomllib.loads((TABLES / f"{table}.toml").read_text())["mutant"]
    return [Written(**entry) for entry in listed]


def arguments() -> dict[str, str]:
    """Return why a mutation is equivalent, by its file and name."""
    listed = tomllib.loads((TABLES / "equivalent.toml").read_text()).get("mutant", [])
    return {f"{entry['file']} {entry['name']}": entry["why"] for entry in listed}
