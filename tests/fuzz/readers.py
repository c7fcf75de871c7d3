"""The search in model files: workers by turns, a reader each, their counts and their findings.

A worker that crashes, hangs or takes too much memory leaves the input that did it among the
findings, and the next one goes on. The state, which is the corpora and the counts, may be kept in
a folder: a later run goes on from there, and its record tells of all runs.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from fuzz.reader_worker import LARGEST, Counts, Order

#: Seeds are smaller than inputs may become.
LARGEST_SEED = LARGEST // 2

#: Seconds of one worker; a new one starts with empty memory.
TURN = 600

TOOLS = ("atheris", "numpy", "onnx", "onnxruntime", "protobuf", "flatbuffers", "tflite")

_TESTS = Path(__file__).parents[1]
_COVERED = re.compile(r"cov: (\d+) ft: \d+ corp: (\d+)/")
_MEMORY = re.compile(r"peak_rss_mb:\s+(\d+)")


@dataclass
class ReaderSearch:
    """The search of one reader.

    Parameters
    ----------
    reader : str
        "tflite" or "onnx".
    state : Path
        Folder for corpus, counts and findings.
    """

    reader: str
    state: Path
    seconds: float = 0.0
    branches: int = 0
    corpus: int = 0
    megabytes: int = 0
    ends: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder = self.state / f"corpus-{self.reader}"
        self.findings = self.state / "findings"
        for folder in (self.folder, self.findings):
            folder.mkdir(parents=True, exist_ok=True)
        self._counts = self.state / f"counts-{self.reader}"
        self._past = self.state / f"past-{self.reader}.json"
        if self._past.exists():
            vars(self).update(json.loads(self._past.read_text()))
        for number, data in enumerate(seeds(self.reader)):
            (self.folder / f"seed-{number:04}").write_bytes(data)

    @property
    def counts(self) -> dict[str, int]:
        """What was counted so far."""
        return Counts(self._counts).read()

    def turn(self, seed: int, executions: int, seconds: int) -> None:
        """Run one worker until it has done so many executions, or for so long."""
        order = Order(
            self.reader, seed, executions, seconds, str(self.folder), str(self.findings),
            str(self._counts),
        )  # fmt: skip
        command = [sys.executable, "-m", "fuzz.reader_worker", order.dumps()]
        paths = [str(_TESTS), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        start = time.monotonic()
        done = subprocess.run(
            command, env=environment, capture_output=True, check=False, cwd=_TESTS.parent
        )
        self.seconds += time.monotonic() - start
        log = done.stderr.decode(errors="replace")
        for branches, corpus in _COVERED.findall(log)[-1:]:
            self.branches, self.corpus = int(branches), int(corpus)
        for megabytes in _MEMORY.findall(log)[-1:]:
            self.megabytes = max(self.megabytes, int(megabytes))
        if done.returncode:
            self.ends.append(f"status {done.returncode}, seed {seed}")
            (self.findings / f"{self.reader}-end-{len(self.ends)}.txt").write_text(log[-20_000:])
        kept = ("seconds", "branches", "corpus", "megabytes", "ends")
        self._past.write_text(json.dumps({name: getattr(self, name) for name in kept}))

    def summary(self) -> dict[str, object]:
        """Plain data for a record."""
        counts = self.counts
        seconds = max(self.seconds, 1e-9)
        return {
            **counts,
            "minutes": round(self.seconds / 60, 1),
            "executions_per_second": round(counts["executions"] / seconds),
            "branches": self.branches,
            "corpus": self.corpus,
            "peak_megabytes": self.megabytes,
            "workers_that_died": self.ends,
        }


def seeds(reader: str) -> Iterator[bytes]:
    """What a search starts from: small models, and what was found before."""
    if reader == "onnx":
        from fuzz.onnx_seeds import onnx_seeds as made  # noqa: PLC0415  one format is enough
    else:
        from fuzz.tflite_seeds import tflite_seeds as made  # noqa: PLC0415
    yield from made(LARGEST_SEED)
    for path in sorted(FOUND.glob(f"*.{reader}")):
        yield path.read_bytes()


#: The smallest files of all findings so far, which tests read again.
FOUND = Path(__file__).parent / "found"


def search(
    state: Path,
    readers: tuple[str, ...],
    *,
    executions: int | None,
    minutes: float | None,
    seed: int,
    record: Path | None = None,
    say: Callable[[str], None] = print,
) -> bool:
    """Search until all readers together have done so many executions, or for so long.

    Returns
    -------
    bool
        Whether nothing was found, in all runs that the state knows of.
    """
    searches = [ReaderSearch(reader, state) for reader in readers]
    start, turn = time.monotonic(), 0
    before = _executions(searches)

    def left() -> tuple[float, float]:
        done = _executions(searches) - before
        so_long = time.monotonic() - start
        return (
            float("inf") if executions is None else executions - done,
            float("inf") if minutes is None else 60 * minutes - so_long,
        )

    while min(left()) > 0:
        one = searches[turn % len(searches)]
        runs, seconds = left()
        share = 1 if turn % len(searches) == len(searches) - 1 else len(searches)
        one.turn(
            seed + turn,
            int(min(runs / share + 1, 2**31 - 1)),
            int(max(1, min(TURN, seconds / share))),
        )
        turn += 1
        summary = one.summary()
        say(f"{one.reader}: " + ", ".join(f"{key} {value}" for key, value in summary.items()))
        if record is not None:
            record.write_text(json.dumps(_record(searches, seed, turn), indent=1) + "\n")
    found = [path.name for path in sorted((state / "findings").iterdir())]
    if found:
        say(f"findings in {state / 'findings'}: {', '.join(found)}")
    return not found


def _executions(searches: list[ReaderSearch]) -> int:
    return sum(one.counts["executions"] for one in searches)


def _record(searches: list[ReaderSearch], seed: int, turns: int) -> dict[str, object]:
    return {
        "command": "python -m tests.fuzz readers",
        "first_seed": seed,
        "turns_of_last_run": turns,
        "executions": _executions(searches),
        "readers": {one.reader: one.summary() for one in searches},
        "tools": {
            "python": platform.python_version(),
            **{name: version(name) for name in TOOLS},
        },
    }
