"""The test bench of the core: runs inside the simulator, under cocotb.

Driver, monitor and scoreboard on top of the harness (`weft.sim.verilog.harness`), which
moves the words. What to do is in plan.json of the folder that ``WEFT_BENCH`` names;
what came of it goes to result.json. `weft.sim.verilog.engine` is the other side.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge, SimTimeoutError, Timer, with_timeout

from weft.sim.verilog.harness import DATA_FILE, PERIOD

#: Cycles that a word may take at a port, stalls of both sides included.
_PATIENCE = 64


class StuckError(Exception):
    """The core did not get done in the cycles it was given."""


class Channel:
    """Asks the harness to move words and waits for it, without Python per cycle.

    Parameters
    ----------
    dut : cocotb handle
    wanted, idle : str
        Names of the harness's counter of words wanted, and of its flag that all have moved.
    what : str
        What is said when it takes too long.
    """

    def __init__(self, dut: Any, wanted: str, idle: str, what: str):
        self._wanted = getattr(dut, wanted)
        self._idle = getattr(dut, idle)
        self._what = what
        self._total = 0

    async def move(self, count: int, cycles: int) -> None:
        """Move `count` words within `cycles`, or raise `StuckError`."""
        if count == 0:
            return
        self._total += count
        self._wanted.value = self._total & 0xFFFFFFFF
        try:
            await with_timeout(RisingEdge(self._idle), cycles * PERIOD, "ns")
        except SimTimeoutError:
            raise StuckError(f"{self._what} within {cycles} cycles") from None


class LoadDriver:
    """Drives the load port with the words of load.bin, in order."""

    def __init__(self, dut: Any):
        self._channel = Channel(dut, "load_wanted", "load_idle", "it did not take the words loaded")

    async def send(self, count: int) -> None:
        """Send the next `count` words and return when the core has taken them."""
        await self._channel.move(count, _PATIENCE * count + 1000)


class ReadDriver:
    """Drives the read port with the addresses of read.bin; the monitor takes the answers."""

    def __init__(self, dut: Any):
        self._channel = Channel(dut, "read_wanted", "data_idle", "it did not answer the reads")

    async def request(self, count: int) -> None:
        """Request the next `count` words and return when all of them have come."""
        await self._channel.move(count, _PATIENCE * count + 1000)


class DataMonitor:
    """Sees the words that come out of the data port, in order."""

    def __init__(self, path: Path):
        self._path = path
        self._seen = 0

    def take(self, count: int) -> np.ndarray:
        """Take the next `count` words: a uint32 array, shorter if they are not there."""
        words = np.fromfile(self._path, "<u4", count, offset=4 * self._seen)
        self._seen += len(words)
        return words


class Scoreboard:
    """Compares words with the expected ones and remembers the first that differs.

    Parameters
    ----------
    expected, mask : uint32 array, shape (words,)
        What must come, over all samples, and the bits that matter.
    """

    def __init__(self, expected: np.ndarray, mask: np.ndarray):
        self._expected = expected
        self._mask = mask
        self._seen = 0
        self.first: dict[str, int] | None = None

    def check(self, words: np.ndarray, *, sample: int) -> None:
        """Compare the next words."""
        part = slice(self._seen, self._seen + len(words))
        differ = np.flatnonzero((words ^ self._expected[part]) & self._mask[part])
        if self.first is None and len(differ):
            at = int(differ[0])
            self.first = {
                "sample": sample,
                "word": at,
                "expected": int(self._expected[part][at]),
                "actual": int(words[at]),
            }
        self._seen += len(words)


class Bench:
    """Runs the jobs of a plan: per job its images once, then its samples."""

    def __init__(self, dut: Any, folder: Path):
        self.dut = dut
        self.folder = folder
        self.plan = json.loads((folder / "plan.json").read_text())
        self.cycles: list[int] = []
        self.loads = LoadDriver(dut)
        self.reads = ReadDriver(dut)
        self.runs = Channel(dut, "start_wanted", "start_idle", "it did not finish an inference")
        self.monitor = DataMonitor(folder / DATA_FILE)
        self.scoreboard = None
        if self.plan["scored"]:
            self.scoreboard = Scoreboard(
                np.load(folder / "expected.npy"), np.load(folder / "mask.npy")
            )

    async def run(self) -> None:
        """Run everything; raise `StuckError` if the core gets stuck."""
        self.dut.stalls.value = self.plan["stalls"]
        self.dut.overlaps.value = int(self.plan["overlaps"])
        self.dut.go.value = 1
        # The initial values of the harness's flags must not look like words that have moved.
        await Timer(4 * PERIOD, "ns")
        with (self.folder / "progress").open("ab", buffering=0) as progress:
            for job in self.plan["jobs"]:
                await self.loads.send(job["load"])
                if self.plan["stream"]:
                    self.begin_stream(job)
                for _ in range(job["samples"]):
                    await (self.streamed(job) if self.plan["stream"] else self.sample(job))
                    progress.write(b".")
                self.dut.streaming.value = 0

    def begin_stream(self, job: dict[str, int]) -> None:
        """Have the harness run all samples of a job, each loaded during the one before."""
        for name in ("samples", "input", "read", "ahead"):
            getattr(self.dut, f"stream_{name}").value = job[name]
        self.dut.streaming.value = 1

    async def streamed(self, job: dict[str, int]) -> None:
        """Wait for the outputs of the next sample of a stream."""
        cycles = job["limit"] + _PATIENCE * (job["input"] + job["read"]) + 1000
        try:
            await with_timeout(RisingEdge(self.dut.sampled), cycles * PERIOD, "ns")
        except SimTimeoutError:
            raise StuckError(f"it did not finish a sample within {cycles} cycles") from None
        self.finished(job)

    async def sample(self, job: dict[str, int]) -> None:
        """One inference: input, start, output."""
        await self.loads.send(job["input"])
        await self.runs.move(1, job["limit"])
        await self.reads.request(job["read"])
        self.finished(job)

    def finished(self, job: dict[str, int]) -> None:
        """Take the cycles and outputs of a sample."""
        self.cycles.append(int(self.dut.seen_cycles.value))
        words = self.monitor.take(job["read"])
        if self.scoreboard is not None:
            self.scoreboard.check(words, sample=len(self.cycles) - 1)


@cocotb.test()
async def inference(dut: Any) -> None:
    """Run the plan and write the result."""
    folder = Path(os.environ["WEFT_BENCH"])
    bench = Bench(dut, folder)
    failure = None
    try:
        await bench.run()
        if dut.early.value == 1:
            failure = "it broke the protocol: a word moved while it was busy or was not asked for"
    except StuckError as stuck:
        failure = str(stuck)
    result = {
        "cycles": bench.cycles,
        "elapsed": int(dut.elapsed.value),
        "failure": failure,
        "mismatch": bench.scoreboard.first if bench.scoreboard else None,
    }
    (folder / "result.json").write_text(json.dumps(result))
