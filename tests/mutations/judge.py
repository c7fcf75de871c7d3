"""Whether a mutation is caught: what pytest says of its tests in a copy that has the error."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from xml.etree import ElementTree

from .entries import Mutation
from .tree import Tree

#: Seconds for one test: whoever hangs has not been caught.
TIMEOUT = 120

#: Plugins of no use here; one of them takes longer to import than most of these tests to run.
_WITHOUT = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")

#: Failures that say the mutation makes no sense, not that a test has seen it.
_SENSELESS = re.compile(
    r"(NameError|UnboundLocalError|ImportError|ModuleNotFoundError|SyntaxError|IndentationError"
    r"|Failed: Timeout)\b"
)


class Verdict(Enum):
    """What became of a mutation."""

    CAUGHT = "caught"
    SURVIVED = "SURVIVED"
    #: It does not run, hangs, or its tests do not: nothing is known.
    SENSELESS = "SENSELESS"


@dataclass(frozen=True)
class Outcome:
    """A verdict.

    Parameters
    ----------
    verdict : Verdict
    by : str
        The test that failed, where one did.
    said : str
        What it said, in a line.
    seconds : float
    """

    verdict: Verdict
    by: str
    said: str
    seconds: float


def judge(tree: Tree, mutation: Mutation) -> Outcome:
    """Put the error in, run the tests until one fails, and take it out again."""
    path = tree.top / mutation.file
    text = path.read_text()
    path.write_text(mutation.apply(text))
    begin = time.monotonic()
    try:
        status, cases = _pytest(tree, mutation.tests, "-x")
    finally:
        path.write_text(text)
    seconds = time.monotonic() - begin
    failed = [case for case in cases if case.failure is not None]
    if status == 0 and not all(case.skipped for case in cases):
        return Outcome(Verdict.SURVIVED, "", "", seconds)
    if status != 1 or not failed:
        return Outcome(Verdict.SENSELESS, "", f"pytest ends with status {status}", seconds)
    case = failed[0]
    assert case.failure is not None
    senseless = _SENSELESS.match(case.failure)
    verdict = Verdict.SENSELESS if senseless else Verdict.CAUGHT
    return Outcome(verdict, case.name, case.failure, seconds)


def unfit(tree: Tree, tests: Iterable[str]) -> list[str]:
    """Tests that do not pass in the copy as it is: they would catch anything, or nothing."""
    wanted = sorted(set(tests))
    status, cases = _pytest(tree, wanted)
    bad = [case.name for case in cases if case.failure is not None or case.skipped]
    return bad or ([] if status == 0 and cases else [f"pytest ends with status {status}"])


@dataclass(frozen=True)
class _Case:
    """A test that ran: `failure` is what it said when it failed, in one line."""

    name: str
    failure: str | None
    skipped: bool


def _pytest(tree: Tree, tests: Iterable[str], *options: str) -> tuple[int, list[_Case]]:
    report = tree.top / "report.xml"
    report.unlink(missing_ok=True)
    status = tree.run(
        "-m", "pytest", "-q", *_WITHOUT, f"--timeout={TIMEOUT}",
        f"--junitxml={report}", *options, *tests,
    ).returncode  # fmt: skip
    if not report.exists():
        return status, []
    return status, [_case(found) for found in ElementTree.parse(report).iter("testcase")]


def _case(found: ElementTree.Element) -> _Case:
    failure = found.find("failure")
    message = "" if failure is None else failure.get("message", "")
    return _Case(
        found.get("name", ""),
        None if failure is None else " ".join(message.split()),
        found.find("skipped") is not None,
    )
