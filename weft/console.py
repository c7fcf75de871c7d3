"""What a person sees: results on standard output, progress on standard error, 80 columns."""

from __future__ import annotations

import math
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, Task, TextColumn
from rich.progress import TimeElapsedColumn as ElapsedColumn
from rich.table import Table
from rich.text import Text

#: Nothing is wider, whatever the terminal; paths alone are never broken.
WIDTH = 80


def console(*, error: bool = False) -> Console:
    """A console on the stream as it is now, which tests replace."""
    stream = sys.stderr if error else sys.stdout
    make = partial(Console, file=stream, highlight=False, markup=False, emoji=False)
    made = make()
    if made.is_jupyter:  # of every line rich would make an output of its own, in HTML
        made = make(force_jupyter=False, force_terminal=False)
    made.width = min(made.width, WIDTH)
    return made


def say(text: str = "") -> None:
    """One line of a result."""
    console().print(text, soft_wrap=True)


def wrap(text: str, first: str = "") -> str:
    """`text` in lines of at most 80 columns, behind `first`; names and paths stay whole."""
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None
) -> None:
    """A table; a column of numbers is set to the right.

    Parameters
    ----------
    columns : sequence of str
        Headings; all empty leaves the heading out.
    rows : sequence of sequences
        Integers get thousands separators, None an empty cell.
    """
    shown = Table(
        title=title, title_justify="left", title_style="bold", show_header=any(columns),
        box=SIMPLE_HEAD, show_edge=False, pad_edge=False,
    )  # fmt: skip
    for i, heading in enumerate(columns):
        numbers = all(isinstance(row[i], int | float | None) for row in rows)
        shown.add_column(Text(heading), justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text(_cell(value)) for value in row))
    console().print(shown)
    say()


def short(name: str, width: int = 33) -> str:
    """A layer's name for a table.

    TFLite's converter joins the names of all it fused, with semicolons: the first one is enough.
    """
    first, *more = name.split(";")
    name = f"{first};…" if more else first
    return name if len(name) <= width else f"…{name[1 - width :]}"


def percent(share: float) -> str:
    """A share with two places, but never 0 where there are some."""
    if 0 < share < 0.0001:
        return "<0.01%"
    return f"{share:.2%}" if share else "0"


def decibels(ratio: float) -> str:
    """A ratio of signal to noise; infinite where there is no noise."""
    return "exact" if ratio == math.inf else f"{ratio:.1f} dB"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class Step:
    """A step under way: `progress` and `stage` say how far it is, `note` what came of it."""

    def __init__(self, what: str, screen: Console, bar: Progress):
        self.outcome = ""
        self._what = what
        self._screen = screen
        self._bar = bar
        self._task = bar.tasks[0].id

    def progress(self, done: int, total: int) -> None:
        """Show that `done` of `total` is done."""
        self._bar.update(self._task, completed=done, total=total)

    def stage(self, name: str, cached: bool = False) -> None:
        """Show which part of the step begins, or that it was there already."""
        if cached:
            name = f"{name} (from the cache)"
        self._bar.update(self._task, description=f"{self._what}: {name}")
        if not self._screen.is_terminal:
            self._screen.print(f"  {name}", soft_wrap=True)

    def note(self, text: str) -> None:
        """Say in a few words what the step found; shown when it ends."""
        self.outcome = text


class _CountColumn(MofNCompleteColumn):
    """Done of all, once that is known."""

    def render(self, task: Task) -> Text:
        """Render one task."""
        return super().render(task) if task.total else Text("")


@contextmanager
def step(what: str) -> Iterator[Step]:
    """Show that something takes time: a bar on a terminal, else a line before and after."""
    screen = console(error=True)
    bar = Progress(
        SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=20),
        _CountColumn(), ElapsedColumn(), console=screen, transient=True,
    )  # fmt: skip
    bar.add_task(what, total=None)
    if not screen.is_terminal:
        screen.print(f"{what} ...", soft_wrap=True)
    start = time.monotonic()
    under_way = Step(what, screen, bar)
    with bar if screen.is_terminal else nullcontext():
        yield under_way
    outcome = f": {under_way.outcome}" if under_way.outcome else ""
    screen.print(f"{what}{outcome} ({time.monotonic() - start:.1f} s)", soft_wrap=True)
