"""Faults on the simulated board's line, many of them: none may pass for an answer.

    python bench/link_faults.py --frames 100000 --boards 6

A small network runs again and again through the real driver and a real serial port. The line
damages, loses and doubles bytes in both directions. Beside that a frame is cut off, a host is
killed in the middle of a run and another one takes over, a second host tries the port, one that
knows no locks starts the core in between, and the board is reset: before a run, between two
samples, and while the core computes. Every run must return golden's outputs or say what happened,
and none may take longer than its timeouts allow. Seeds are printed and recorded.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from weft.boards.driver import Driver
from weft.boards.exchange import ATTEMPTS, QUIET
from weft.boards.protocol import Command, encode_request
from weft.boards.transport import SerialTransport
from weft.compiler.compile import compile_network
from weft.compiler.network import Conv2D, Network, Port, Requantize, Tensor
from weft.compiler.program import Program
from weft.errors import RefusedError
from weft.hw.config import Config
from weft.line_board import Noise
from weft.sim import golden
from weft.simulated_board import BAUD, SimulatedBoard

RESULT = Path(__file__).parent / "results" / "link_faults.json"

#: Of a million bytes.
NOISE = {"damaged": 1000, "lost": 300, "doubled": 300}

#: Seconds that the driver waits for an answer.
TIMEOUT = 1.0

#: Of every tensor, and how many convolutions there are.
SHAPE, LAYERS = (4, 4, 4), 16

#: What a run may take: one request after another answered at the last attempt.
LIMIT = 50 * ATTEMPTS * (TIMEOUT + QUIET)


#: Samples of a run; what disturbs a run does so in the middle.
SAMPLES, MIDDLE = 8, 3


class Counted(SerialTransport):
    """Counts the frames that a host sends and gets; `started` is called behind each START."""

    sent = 0
    started: Callable[[], None] = staticmethod(lambda: None)

    def write(self, data: bytes) -> None:
        """Send a frame."""
        self.sent += 1
        super().write(data)
        if data[1] == Command.START:
            self.started()


def make_program(rng: np.random.Generator) -> Program:
    """Convolutions one after another: few words on the line, and a while to compute."""
    network = Network("faults")
    tensors = ["x", *(f"t{number}" for number in range(LAYERS - 1)), "y"]
    for name in tensors:
        network.tensors[name] = Tensor(name, SHAPE, 1.0)
    for source, target in pairwise(tensors):
        network.nodes.append(
            Conv2D(
                name=target, inputs=(source,), output=target,
                weights=rng.integers(-128, 128, (SHAPE[2], 3, 3, SHAPE[2]), dtype=np.int8),
                bias=rng.integers(-999, 999, SHAPE[2], dtype=np.int32),
                requantize=Requantize(shift=np.full(SHAPE[2], 8, np.int32), zero_point=0),
                padding=(1, 1, 1, 1),
            )
        )  # fmt: skip
    network.inputs.append(Port("x", "x", SHAPE))
    network.outputs.append(Port("y", "y", SHAPE))
    return compile_network(network, Config(rows=4, columns=4))


class Faults:
    """A simulated board on a bad line, its program and inputs, and what came of every run."""

    def __init__(self, seed: int):
        rng = np.random.default_rng(seed)
        self.chance = random.Random(seed)
        self.program = make_program(rng)
        self.inputs = {"x": rng.integers(-128, 128, (SAMPLES, *SHAPE), dtype=np.int8)}
        self.expected = golden.run(self.program, self.inputs).outputs["y"]
        self.board = SimulatedBoard(self.program.config, self.program, noise=Noise(seed, **NOISE))
        self.came_of: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.kind = ""
        self.frames = 0
        self.longest = 0.0

    def run(
        self,
        between: Callable[[], None] = lambda: None,
        started: Callable[[], None] = lambda: None,
    ) -> None:
        """All samples; `between` is called in the middle, and `started` when the core has begun."""
        starts = 0

        def start() -> None:
            nonlocal starts
            starts += 1
            if starts == MIDDLE:
                started()

        def progress(what: str, done: int, total: int) -> None:
            if (what, done) == ("run", MIDDLE):
                between()

        begin = time.monotonic()
        transport = Counted(self.board.port, baud=BAUD, timeout=TIMEOUT)
        transport.started = start
        try:
            with Driver(transport, timeout=TIMEOUT) as device:
                result = device.run(self.program, self.inputs, progress=progress)
            right = np.array_equal(result.outputs["y"], self.expected)
            self.came_of["right" if right else f"WRONG, with {self.kind}"] += 1
        except RefusedError as error:
            self.came_of[str(error).replace(self.board.port, "PORT").split(";")[0]] += 1
        self.longest = max(self.longest, time.monotonic() - begin)
        self.frames += 2 * transport.sent

    def nothing_more(self) -> None:
        """A run with the noise alone."""
        self.run()

    def reset_before_a_run(self) -> None:
        """What was under way before is forgotten."""
        self.board.reset()
        self.run()

    def reset_between_samples(self) -> None:
        """The core is idle."""
        self.run(between=self.board.reset)

    def reset_in_an_inference(self) -> None:
        """The core has just begun."""
        self.run(started=self.board.reset)

    def frame_cut_off(self) -> None:
        """Some of a frame, and then another host."""
        frame = encode_request(Command.WRITE, 3, count=2, space=1, address=7, payload=bytes(8))
        transport = SerialTransport(self.board.port, baud=BAUD, timeout=TIMEOUT)
        transport.write(frame[: self.chance.randrange(1, len(frame))])
        transport.close()
        self.run()

    def host_killed(self) -> None:
        """A process of its own, killed somewhere in its run; the next host starts at once."""
        after = self.chance.uniform(0.02, 0.5)
        with warnings.catch_warnings():
            # Python 3.12 warns of forking beside threads; this child lives for half a second.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:  # no clean-up of what is the parent's: it never comes back
            try:
                while True:
                    self.run()
            finally:
                os._exit(1)
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        self.run()

    def second_host(self) -> None:
        """Another host tries the port in the middle of a run."""

        def intrude() -> None:
            try:
                SerialTransport(self.board.port, baud=BAUD, timeout=TIMEOUT).close()
                self.came_of["WRONG: two hosts have the port"] += 1
            except RefusedError:
                self.came_of["a second host was refused"] += 1

        self.run(between=intrude)

    def host_without_locks(self) -> None:
        """A program that takes the port for its own starts the core in the middle of a run."""

        def intrude() -> None:
            sequence = self.chance.randrange(256)
            port = os.open(self.board.port, os.O_WRONLY | os.O_NOCTTY)
            os.write(port, encode_request(Command.IDENTIFY, sequence))
            os.write(port, encode_request(Command.START, sequence + 1 & 0xFF))
            os.close(port)

        if self.chance.random() < 0.5:
            self.run(between=intrude)
        else:
            self.run(started=intrude)


def inject(frames: int, seed: int) -> dict:
    """Runs with faults until so many frames have been sent; what came of them."""
    print("seed", seed)
    faults = Faults(seed)
    rare = [
        faults.reset_before_a_run, faults.reset_between_samples, faults.reset_in_an_inference,
        faults.frame_cut_off, faults.host_killed, faults.second_host, faults.host_without_locks,
    ]  # fmt: skip
    kinds = [faults.nothing_more] * len(rare) + rare
    with faults.board:
        while faults.frames < frames:
            kind = faults.chance.choice(kinds)
            faults.kind = kind.__name__.replace("_", " ")
            faults.faults[faults.kind] += 1
            kind()
    return {
        "seed": seed,
        "noise_per_million_bytes": NOISE,
        "frames": faults.frames,
        "runs_with": dict(faults.faults.most_common()),
        "came_of_runs": dict(faults.came_of.most_common()),
        "longest_run_seconds": round(faults.longest, 1),
        "limit_seconds": LIMIT,
    }


def inject_beside(frames: int, seed: int, boards: int) -> dict:
    """The same on so many boards at once, each with its share of the frames and its own seed.

    Most of a run's time is waiting for what was lost.
    """
    seeds = range(seed, seed + boards)
    with ProcessPoolExecutor(boards, mp_context=get_context("spawn")) as pool:
        records = list(pool.map(inject, [-(-frames // boards)] * boards, seeds))

    def total(name: str) -> dict:
        return dict(sum((Counter(record[name]) for record in records), Counter()).most_common())

    return {
        "seeds": list(seeds),
        "noise_per_million_bytes": NOISE,
        "frames": sum(record["frames"] for record in records),
        "runs_with": total("runs_with"),
        "came_of_runs": total("came_of_runs"),
        "longest_run_seconds": max(record["longest_run_seconds"] for record in records),
        "limit_seconds": LIMIT,
    }


def holds(record: dict) -> bool:
    """Whether nothing wrong was taken, and nothing took too long."""
    wrong = any(name.startswith("WRONG") for name in record["came_of_runs"])
    return not wrong and record["longest_run_seconds"] <= record["limit_seconds"]


def main() -> None:
    """Run until so many frames have passed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--boards", type=int, default=6, help="at once, with seeds from there on")
    parser.add_argument("-o", "--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    record = inject_beside(chosen.frames, chosen.seed, chosen.boards)
    chosen.output.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))
    sys.exit(not holds(record))


if __name__ == "__main__":
    main()
