"""``python -m tests.mutations``: every error of the list, and whether a test sees it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from queue import SimpleQueue

from . import page
from .entries import TOP, Mutation, mutations
from .judge import Outcome, Verdict, judge, unfit
from .tree import Tree


def outcomes(entries: Sequence[Mutation], trees: Sequence[Tree]) -> Iterator[Outcome]:
    """Of each in order; as many at once as there are copies."""
    free: SimpleQueue[Tree] = SimpleQueue()
    for tree in trees:
        free.put(tree)

    def one(entry: Mutation) -> Outcome:
        tree = free.get()
        try:
            return judge(tree, entry)
        finally:
            free.put(tree)

    with ThreadPoolExecutor(len(trees)) as pool:
        yield from pool.map(one, entries)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 where one is not caught."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME",
                        help="these alone; * stands for anything; may be given again")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="so many at once")
    parser.add_argument("--page", action="store_true", help="write docs/mutations.md, and end")
    options = parser.parse_args(arguments)
    if options.page:
        page.write()
        return 0
    if options.jobs < 1:
        parser.error(f"--jobs must be at least 1, not {options.jobs}")
    every = mutations()
    wanted = options.only or ["*"]
    entries = [entry for entry in every if any(fnmatch(entry.name, name) for name in wanted)]
    if not entries:
        parser.error(f"no mutation is called {' or '.join(wanted)}; see docs/mutations.md")
    with tempfile.TemporaryDirectory(prefix="weft-mutations-") as folder:
        trees = [Tree(TOP, Path(folder) / str(number)) for number in range(options.jobs)]
        return _run(entries, trees)


def _run(entries: Sequence[Mutation], trees: Sequence[Tree]) -> int:
    bad = unfit(trees[0], (test for entry in entries for test in entry.tests))
    if bad:
        print("these tests do not pass without any mutation:", *bad, sep="\n  ")
        return 1
    width = max(len(entry.name) for entry in entries)
    escaped = 0
    for entry, outcome in zip(entries, outcomes(entries, trees), strict=True):
        escaped += outcome.verdict != Verdict.CAUGHT
        told = f"{outcome.by}: {outcome.said}"[:120] if outcome.said else ", ".join(entry.tests)
        print(f"{entry.name:{width}}  {outcome.verdict.value:9}  {outcome.seconds:5.1f} s  {told}",
              flush=True)  # fmt: skip
    print(f"{len(entries) - escaped} of {len(entries)} mutations are caught")
    return 1 if escaped else 0


if __name__ == "__main__":
    sys.exit(main())
