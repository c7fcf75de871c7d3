"""What weft says when it cannot do what was asked.

Every error a user can cause is a `WeftError`: one sentence that says what is
wrong, where, and what to do. The command line prints it and exits with `status`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class WeftError(Exception):
    """Base of all errors for users; `status` is the exit status of the command line."""

    status = 2


class InputError(WeftError):
    """Bad usage or unreadable input: a file, an array, an option."""

    status = 2


class RefusedError(WeftError):
    """The thing asked about does not hold: a mismatch, no fit, a missing tool."""

    status = 1


def printable(text: str) -> str:
    """The text with escapes in the place of what is no printable character."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


@dataclass(frozen=True)
class Problem:
    """One thing that stands in the way of a model.

    Parameters
    ----------
    node : str
        Name of the node in the file (or of its output where it has none).
    op : str
        Operator, spelled as the file's format spells it.
    reason : str
        What is wrong.
    remedy : str
        What the user can do.
    """

    node: str
    op: str
    reason: str
    remedy: str

    def __post_init__(self) -> None:
        # Names of a file are in them, which may hold line ends or a terminal's commands.
        for name in ("op", "reason", "remedy"):
            object.__setattr__(self, name, printable(getattr(self, name)))

    def __str__(self) -> str:
        return f"{self.op} {self.node!r}: {self.reason}; {self.remedy}"


class UnsupportedError(RefusedError):
    """A model that cannot run, with every problem at once."""

    def __init__(self, model: str, problems: Sequence[Problem]):
        self.model = model
        self.problems = tuple(problems)
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        count = f"{len(self.problems)} problem{'s' * (len(self.problems) != 1)}"
        super().__init__(f"{printable(model)} cannot run as it is ({count}):\n{lines}")
