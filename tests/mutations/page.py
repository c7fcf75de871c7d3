"""docs/mutations.md, made of the list."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from .entries import TOP, Mutation, mutations

PAGE = TOP / "docs" / "mutations.md"

_HEAD = """\
# The tests are tested

A test that no error can fail is worth nothing. Here are {count} errors as people make them, each
put into weft alone: an operator swapped, a constant off by one, a register that is missing, a tie
rounded the other way, padding with another code, a wait or a check left out. For each one the list
names a test of the everyday suite that fails, and a run shows that it does:

    python -m tests.mutations                      # all of them
    python -m tests.mutations --only 'golden-*'    # some
    python -m tests.mutations --jobs 2

Each runs in a copy of the repository, with `weft` imported from there and an empty cache. An error
is caught when a test fails that passes without it: not when the module cannot be imported any
more, a name is missing, or the test hangs or is skipped. The exit status is 1 where one is not
caught. All of it takes a core some four minutes. `.ci/run` does it in its slow part; the everyday
suite does a few and holds the list to the sources: each text is there once, each test exists.

The list is [tests/mutations/list/](../tests/mutations/list), and this page is made of it
(`python -m tests.mutations --page`). Whoever changes a line that is in it changes the list.
"""


def page(entries: list[Mutation]) -> str:
    """The whole page."""
    parts = [_HEAD.format(count=len(entries))]
    for area, group in groupby(entries, key=lambda entry: entry.area):
        lines = ["| name | file | what is changed | so | caught by |", "|---|---|---|---|---|"]
        lines += [_row(entry) for entry in group]
        parts.append(f"## {area.replace('_', ' ').capitalize()}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def write(path: Path = PAGE) -> None:
    """Write it."""
    path.write_text(page(mutations()))


def _row(entry: Mutation) -> str:
    tests = ", ".join(f"`{_short(test)}`" for test in entry.tests)
    cells = (entry.name, f"`{entry.file}`", entry.change, entry.why, tests)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _short(test: str) -> str:
    """A node id without what is the same in all of them."""
    return test.removeprefix("tests/")
