"""Runs programs on the core's Verilog, in Verilator or Icarus."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from weft.compiler.program import Program
from weft.errors import InputError, RefusedError
from weft.sim.engine import RunResult
from weft.sim.jobs import Job, same_configuration
from weft.sim.trace import ends
from weft.sim.verilog import harness
from weft.sim.verilog.build import Simulation, build, runner, tail
from weft.sim.verilog.source import core_verilog
from weft.sim.verilog.stream import check_stream, with_times

#: Called with the number of samples done and of all samples.
Progress = Callable[[int, int], None]


def run(
    program: Program,
    inputs: Mapping[str, np.ndarray],
    simulator: str = "verilator",
    *,
    verilog_path: str | Path | None = None,
    stalls_seed: int | None = None,
    progress: Progress | None = None,
    expected: Mapping[str, np.ndarray] | None = None,
    trace: bool = False,
    stream: bool = False,
) -> RunResult:
    """Run every sample of `inputs` in one simulation.

    Parameters
    ----------
    program : Program
    inputs : mapping of tensor name to int8 array, shape (N, H, W, C)
    simulator : str
        ``"verilator"`` or ``"icarus"``.
    verilog_path : path, optional
        The core's Verilog; by default it is made from the program's configuration.
    stalls_seed : int, optional
        Hold back words at both sides of the three streams, at random from this seed.
    progress : callable, optional
        Called now and then with the samples done and all samples.
    expected : mapping of tensor name to int8 array, optional
        Outputs that the test bench shall compare with while it runs.
    trace : bool
        Also see how long each instruction takes.
    stream : bool
        Load each sample while the core computes the one before.

    Returns
    -------
    RunResult
        With the cycles of each sample; a `StreamResult` with `stream`.

    Raises
    ------
    RefusedError
        If a tool is missing, the simulation fails or gets stuck, or an output is not
        as `expected`.
    """
    (result,) = run_jobs(
        [Job(program, inputs)],
        simulator=simulator,
        verilog_path=verilog_path,
        stalls_seed=stalls_seed,
        progress=progress,
        expected=None if expected is None else [expected],
        trace=trace,
        stream=stream,
    )
    return result


def run_many(
    jobs: Sequence[tuple[Program, Mapping[str, np.ndarray]]],
    simulator: str = "verilator",
    *,
    verilog_path: str | Path | None = None,
    stalls_seed: int | None = None,
    progress: Progress | None = None,
    expected: Sequence[Mapping[str, np.ndarray]] | None = None,
) -> list[RunResult]:
    """Run programs of one configuration, one after another, in one simulator process.

    Parameters and errors are those of `run`, with one entry of `jobs` and `expected`
    for each program.
    """
    return run_jobs(
        [Job(program, inputs) for program, inputs in jobs],
        simulator=simulator,
        verilog_path=verilog_path,
        stalls_seed=stalls_seed,
        progress=progress,
        expected=expected,
    )


def run_jobs(
    jobs: Sequence[Job],
    simulator: str = "verilator",
    *,
    verilog_path: str | Path | None = None,
    stalls_seed: int | None = None,
    progress: Progress | None = None,
    expected: Sequence[Mapping[str, np.ndarray]] | None = None,
    trace: bool = False,
    stream: bool = False,
) -> list[RunResult]:
    """Run jobs of one configuration, one after another; the core keeps its memories between."""
    if not jobs:
        return []
    same_configuration(jobs)
    if stream:
        for job in jobs:
            check_stream(job)
    simulation = prepare(
        jobs[0].program, simulator=simulator, verilog_path=verilog_path, trace=trace
    )
    folder = Path(tempfile.mkdtemp(prefix="weft-simulation-"))
    _write_plan(folder, jobs, stalls_seed or 0, expected, stream)
    # On failure the folder stays: the error names the log in it.
    result = _simulate(simulation, folder, sum(job.samples for job in jobs), progress)
    if result["mismatch"] is not None:
        raise RefusedError(_mismatch(jobs, result["mismatch"], simulator))
    words = np.fromfile(folder / harness.DATA_FILE, "<u4")
    events = np.fromfile(folder / harness.TRACE_FILE, "<u4") if trace else None
    times = np.fromfile(folder / harness.STREAM_FILE, "<u4") if stream else None
    shutil.rmtree(folder)
    results = _results(jobs, words, result["cycles"])
    if events is not None:
        _take_trace(jobs, results, events)
    return results if times is None else with_times(jobs, results, times)


def prepare(
    program: Program,
    *,
    simulator: str = "verilator",
    verilog_path: str | Path | None = None,
    trace: bool = False,
) -> Simulation:
    """Build the simulation for the program's configuration, or find the one built before."""
    if verilog_path is None:
        text = core_verilog(program.config)
    else:
        try:
            text = Path(verilog_path).read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise InputError(
                f"the Verilog {verilog_path} cannot be read ({reason}); compile the model again"
            ) from None
    # The header names the program, which has no say in the simulation.
    lines = text.splitlines(keepends=True)
    start = next((n for n, line in enumerate(lines) if not line.startswith("//")), len(lines))
    if trace and not all(part in text for part in harness.TRACED):
        raise InputError(
            f"the Verilog {verilog_path} does not show when an instruction begins and ends; "
            "compile the model again"
        )
    return build(
        "".join(lines[start:]) + harness.harness(trace=trace),
        top=harness.TOP,
        simulator=simulator,
        private=True,
    )


def _write_plan(
    folder: Path,
    jobs: Sequence[Job],
    stalls: int,
    expected: Sequence[Mapping[str, np.ndarray]] | None,
    stream: bool,
) -> None:
    with (folder / harness.LOAD_FILE).open("wb") as loads:
        for job in jobs:
            for words in (job.load, *job.input):
                loads.write(load_bytes(words))
    with (folder / harness.READ_FILE).open("wb") as reads:
        for job in jobs:
            reads.write(job.addresses.astype(">u4").tobytes() * job.samples)
    plan = {
        "stalls": stalls & 0xFFFFFFFF,
        "stream": stream,
        "overlaps": bool(jobs[0].program.config.stream),
        "scored": expected is not None,
        "jobs": [
            {
                "load": len(job.load),
                "samples": job.samples,
                "input": len(job.input[0]) if job.samples else 0,
                "read": len(job.addresses),
                "limit": job.limit,
                "ahead": int(stream and job.program.released is not None),
            }
            for job in jobs
        ],
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    if expected is not None:
        pairs = [job.expected_words(want) for job, want in zip(jobs, expected, strict=True)]
        np.save(folder / "expected.npy", np.concatenate([pair[0] for pair in pairs]))
        np.save(folder / "mask.npy", np.concatenate([pair[1] for pair in pairs]))


def load_bytes(words: np.ndarray) -> bytes:
    """What the harness reads for each word: its payload as 64 bits, big end first."""
    payload = words["data"].astype(np.uint64)
    payload |= words["address"].astype(np.uint64) << np.uint64(32)
    payload |= words["space"].astype(np.uint64) << np.uint64(56)
    return payload.astype(">u8").tobytes()


def _simulate(
    simulation: Simulation, folder: Path, samples: int, progress: Progress | None
) -> dict:
    log = folder / "simulation.log"
    done = threading.Event()
    watch = threading.Thread(target=_watch, args=(folder, samples, progress, done))
    if progress is not None:
        watch.start()
    try:
        run_bench(
            simulation,
            "weft.sim.verilog.bench",
            folder=folder,
            log=log,
            environment={"WEFT_BENCH": str(folder)},
        )
    finally:
        done.set()
        if progress is not None:
            watch.join()
    name = simulation.tools.simulator
    if not (folder / "result.json").exists():
        raise RefusedError(f"the simulation in {name} failed; {tail(log)}")
    result = json.loads((folder / "result.json").read_text())
    if result["failure"] is not None:
        raise RefusedError(
            f"the core is stuck or wrong in {name}, sample {len(result['cycles'])}: "
            f"{result['failure']}; {tail(log)}"
        )
    return result


def run_bench(
    simulation: Simulation,
    module: str,
    *,
    folder: Path,
    log: Path,
    environment: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Path:
    """Run a cocotb test module in a built simulation; its results file, which may be missing."""
    results = folder / "results.xml"
    quiet = {
        # Nothing of the caller's may change what the simulation does.
        "COCOTB_REWRITE_ASSERTION_FILES": "",
        "COCOTB_ANSI_OUTPUT": "0",
        "COCOTB_LOG_LEVEL": "INFO",
    }
    # Whether it went well is for the caller to read in the results, or in the log without them.
    with contextlib.suppress(RuntimeError, SystemExit, OSError):
        runner(simulation.tools.simulator).test(
            test_module=module,
            hdl_toplevel=simulation.top,
            hdl_toplevel_lang="verilog",
            build_dir=simulation.folder,
            test_dir=folder,
            results_xml=str(results),
            extra_env={**quiet, **(environment or {})},
            seed=seed,
            log_file=log,
        )
    return results


def _watch(folder: Path, samples: int, progress: Progress | None, done: threading.Event) -> None:
    """Report the samples done, for which the bench writes a byte each."""
    assert progress is not None
    path, last = folder / "progress", -1
    while True:
        ended = done.wait(0.2)
        count = path.stat().st_size if path.exists() else 0
        if count != last:
            progress(count, samples)
            last = count
        if ended:
            return


def _results(jobs: Sequence[Job], words: np.ndarray, cycles: Sequence[int]) -> list[RunResult]:
    results = []
    word = sample = 0
    for job in jobs:
        size = job.samples * len(job.addresses)
        part = words[word : word + size].reshape(job.samples, len(job.addresses))
        results.append(job.result(part, cycles[sample : sample + job.samples]))
        word += size
        sample += job.samples
    return results


def _take_trace(jobs: Sequence[Job], results: Sequence[RunResult], events: np.ndarray) -> None:
    """Add the cycles of each instruction to the results, from the events of all inferences."""
    at = 0
    for job, result in zip(jobs, results, strict=True):
        count = len(job.program.instructions)
        result.instruction_cycles = []
        for cycles in result.cycles or ():
            # Whatever is left over is the last inference's, which then is wrong.
            last = job is jobs[-1] and len(result.instruction_cycles) == job.samples - 1
            after = len(events) if last else at + 2 * count
            result.instruction_cycles.append(ends(events[at:after], count, cycles))
            at = after


def _mismatch(jobs: Sequence[Job], found: Mapping[str, int], simulator: str) -> str:
    sample, number = found["sample"], 0
    while sample >= jobs[number].samples:
        sample -= jobs[number].samples
        number += 1
    address = int(jobs[number].addresses[found["word"]])
    return (
        f"{simulator} differs from what is expected in program {number}, sample {sample}: "
        f"activation word {address} is {found['actual']:08x} instead of {found['expected']:08x}"
    )
