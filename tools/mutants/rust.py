"""As much of Rust as it takes to find atomics: text that is code, functions, calls."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

# Comments, strings and character literals; a lifetime has no closing quote.
NOT_CODE = re.compile(
    r'//[^\n]*|/\*.*?\*/|\bb?r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|b?\'(?:\\[^\n\']*\'|[^\\\'\n]\')',
    re.DOTALL,
)
FUNCTION = re.compile(r"\bfn\s+(\w+)")
# Nor what only tests are built of, or what no model is built of.
NOT_MODELLED = re.compile(
    r"#\[cfg\((?:test|all\(test\b[^]]*|(?:all\()?not\((?:any\()?loom\b[^]]*|shuttle)\)\]"
)
CLOSING = {"(": ")", "{": "}"}


@dataclass(frozen=True)
class Call:
    """A method or function call: `receiver.name(arguments)`."""

    name: str
    receiver: str  # the last name before the dot; empty for a function
    at: int  # where `name` begins
    open: int  # of the parenthesis
    close: int

    def argument(self, code: str, at: int) -> int:
        """Return which argument the position `at` lies in, from 0."""
        depth, number = 0, 0
        for character in code[self.open + 1 : at]:
            depth += (character in "([{") - (character in ")]}")
            number += character == "," and depth == 0
        return number


class Source:
    """One source file; positions in `code` are those in `text`."""

    def __init__(self, text: str) -> None:
        self.text = text
        blank = NOT_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
        for attribute in NOT_MODELLED.finditer(blank):
            end = self._item_end(blank, attribute.end(), "{;,")
            blank = blank[: attribute.start()] + " " * (end - attribute.start()) + blank[end:]
        self.code = blank

    @staticmethod
    def _item_end(code: str, start: int, ends: str) -> int:
        """Return where the item around `start` ends: after its body, or after one of `ends`."""
        depth = 0
        for at in range(start, len(code)):
            if code[at] in ends and depth <= 0:
                return closing(code, at) + 1 if code[at] == "{" else at + 1
            depth += (code[at] in "([") - (code[at] in ")]")
        return len(code)

    @cached_property
    def functions(self) -> list[tuple[int, int, str]]:
        """Where each function begins and ends, and its name."""
        found = []
        for match in FUNCTION.finditer(self.code):
            end = self._item_end(self.code, match.end(), "{;")
            if self.code[end - 1] == "}":
                found.append((match.start(), end, match[1]))
        return found

    def function_at(self, at: int) -> str:
        """Return the name of the innermost function around `at`."""
        around = [(end - start, name) for start, end, name in self.functions if start < at < end]
        return min(around, default=(0, "outside functions"))[1]

    def calls(self, names: str) -> Iterator[Call]:
        """Find the calls of functions and methods whose name matches the pattern `names`."""
        index = r"\[(?:[^][]|\[[^]]*\])*\]"
        receiver = rf"(?:\b(\w+)(?:{index}|\(\))?\s*\.\s*)?"
        pattern = rf"{receiver}(?<!fn )\b({names})\s*(?=\()"
        for match in re.finditer(pattern, self.code):
            start = match.end()
            call = Call(match[2], match[1] or "", match.start(2), start, closing(self.code, start))
            yield call


def closing(code: str, at: int) -> int:
    """Return where the bracket that opens at `at` is closed."""
    opening, depth = code[at], 0
    for position in range(at, len(code)):
        depth += (code[position] == opening) - (code[position] == CLOSING[opening])
        if depth == 0:
            return position
    raise ValueError(f"{opening!r} is never closed")
