"""Runs programs on the core itself, in Amaranth's simulator."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from amaranth.lib import wiring
from amaranth.sim import Simulator

from weft.compiler.program import Program
from weft.errors import RefusedError
from weft.hw.config import Config
from weft.hw.core import Core
from weft.sim.engine import RunResult
from weft.sim.jobs import Job, same_configuration
from weft.sim.trace import BEGIN, DONE, KIND_BIT, TracedCore, ends

#: Makes a component with the core's ports.
Factory = Callable[[Config], wiring.Component]
#: Called with the number of samples done and of all samples.
Progress = Callable[[int, int], None]

#: Cycles in a row that a port may keep the test bench waiting.
_PATIENCE = 1000


def run(
    program: Program,
    inputs: Mapping[str, np.ndarray],
    *,
    core: Factory = Core,
    stalls_seed: int | None = None,
    progress: Progress | None = None,
    trace: bool = False,
) -> RunResult:
    """Run every sample of `inputs`.

    Parameters
    ----------
    program : Program
    inputs : mapping of tensor name to int8 array, shape (N, H, W, C)
    core : callable, optional
        Makes the component from a configuration.
    stalls_seed : int, optional
        Hold back words at both sides of the three streams, at random from this seed.
    progress : callable, optional
        Called after each sample with the samples done and all samples.
    trace : bool
        Also see how long each instruction takes; not for another `core`.

    Returns
    -------
    RunResult
        With the cycles of each sample.

    Raises
    ------
    RefusedError
        If the core gets stuck.
    """
    (result,) = run_jobs(
        [Job(program, inputs)], core=core, stalls_seed=stalls_seed, progress=progress, trace=trace
    )
    return result


def run_many(
    jobs: Sequence[tuple[Program, Mapping[str, np.ndarray]]],
    *,
    core: Factory = Core,
    stalls_seed: int | None = None,
    progress: Progress | None = None,
) -> list[RunResult]:
    """Run programs of one configuration, one after another, on one core.

    Parameters and errors are those of `run`, with one entry of `jobs` for each program.
    """
    ready = [Job(program, inputs) for program, inputs in jobs]
    return run_jobs(ready, core=core, stalls_seed=stalls_seed, progress=progress)


def run_jobs(
    jobs: Sequence[Job],
    *,
    core: Factory = Core,
    stalls_seed: int | None = None,
    progress: Progress | None = None,
    trace: bool = False,
) -> list[RunResult]:
    """Run jobs of one configuration, one after another; the core keeps its memories between."""
    if not jobs:
        return []
    same_configuration(jobs)
    dut = (TracedCore if trace else core)(jobs[0].program.config)
    results: list[RunResult] = []
    total = sum(job.samples for job in jobs)

    async def bench(ctx: Any) -> None:
        ports = _Ports(ctx, dut, stalls_seed)
        done = 0
        for job in jobs:
            words, cycles, spans = [], [], []
            count = len(job.program.instructions) if trace else 0
            await ports.load(job.load)
            for sample in job.input:
                await ports.load(sample)
                cycles.append(await ports.infer(job.limit))
                if trace:
                    spans.append(ends(ports.events, count, cycles[-1]))
                words.append(await ports.read(job.addresses))
                done += 1
                if progress is not None:
                    progress(done, total)
            result = job.result(np.stack(words), cycles)
            result.instruction_cycles = spans if trace else None
            results.append(result)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return results


class _Ports:
    """The protocol of the core's ports, a word per cycle unless somebody stalls."""

    def __init__(self, ctx: Any, dut: Any, stalls_seed: int | None):
        self._ctx = ctx
        self._dut = dut
        self.events: list[int] = []  # of the last inference, as `weft.sim.trace` has them
        self._random = None if stalls_seed is None else random.Random(stalls_seed)

    async def load(self, words: np.ndarray) -> None:
        """Write `words` at the load port."""
        ctx, load = self._ctx, self._dut.load
        for data, address, space in zip(
            words["data"].tolist(), words["address"].tolist(), words["space"].tolist(), strict=True
        ):
            while self._stalls():
                await ctx.tick()
            ctx.set(load.payload, {"data": data, "address": address, "space": space})
            ctx.set(load.valid, 1)
            for _ in range(_PATIENCE):
                _, _, taken = await ctx.tick().sample(load.ready)
                if taken:
                    break
            else:
                raise RefusedError(
                    f"the core in Amaranth's simulator did not take a word for space {space}, "
                    f"address {address}, within {_PATIENCE} cycles"
                )
            ctx.set(load.valid, 0)

    async def infer(self, limit: int) -> int:
        """Start, wait for the end, and return the cycles the core counted."""
        ctx, dut = self._ctx, self._dut
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        self.events = []
        for _ in range(limit):
            if not ctx.get(dut.busy):
                return int(ctx.get(dut.cycles))
            if isinstance(dut, TracedCore):
                for kind, event in ((BEGIN, dut.begin), (DONE, dut.done)):
                    if ctx.get(event):
                        self.events.append(kind << KIND_BIT | ctx.get(dut.cycles))
            await ctx.tick()
        raise RefusedError(
            f"the core in Amaranth's simulator did not finish an inference within {limit} cycles"
        )

    async def read(self, addresses: np.ndarray) -> np.ndarray:
        """Words of the activation memory at `addresses`."""
        ctx, dut = self._ctx, self._dut
        asked = waited = 0
        words: list[int] = []
        while len(words) < len(addresses):
            # A request that was shown stays until it is taken.
            if not ctx.get(dut.read.valid) and asked < len(addresses) and not self._stalls():
                ctx.set(dut.read.payload, int(addresses[asked]))
                ctx.set(dut.read.valid, 1)
            ctx.set(dut.data.ready, not self._stalls())
            asking = ctx.get(dut.read.valid)
            taking = ctx.get(dut.data.ready)
            _, _, taken, came, word = await ctx.tick().sample(
                dut.read.ready, dut.data.valid, dut.data.payload
            )
            waited += 1
            if asking and taken:
                asked += 1
                waited = 0
                ctx.set(dut.read.valid, 0)
            if taking and came:
                words.append(word)
                waited = 0
            if waited > _PATIENCE:
                raise RefusedError(
                    f"the core in Amaranth's simulator did not answer a read within "
                    f"{_PATIENCE} cycles"
                )
        ctx.set(dut.data.ready, 0)
        return np.array(words, np.uint32)

    def _stalls(self) -> bool:
        return self._random is not None and self._random.random() < 0.5
