"""Faults on the simulated board's line, many of them: none may pass for an answer.

    python bench/link_faults.py --frames 100000

A small network runs again and again through the real driver and a real serial port. The line
damages, loses and doubles bytes in both directions; between runs the host dies in the middle of
a frame, another host tries the port, the board is reset before a run and in the middle of one.
Every run must return golden's outputs or say what happened, and none may take longer than its
timeouts allow. Seeds are printed and recorded.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from weft.boards.driver import Driver
from weft.boards.exchange import ATTEMPTS, QUIET
from weft.boards.protocol import Command, encode_request
from weft.boards.transport import SerialTransport
from weft.compiler.compile import compile_network
from weft.compiler.network import FullyConnected, Network, Port, Requantize, Tensor
from weft.compiler.program import Program
from weft.errors import RefusedError
from weft.hw.config import Config
from weft.sim import golden
from weft.simulated_board import BAUD, Noise, SimulatedBoard

RESULT = Path(__file__).parent / "results" / "link_faults.json"

#: Of a million bytes.
NOISE = {"damaged": 1000, "lost": 300, "doubled": 300}

#: Seconds that the driver waits for an answer.
TIMEOUT = 1.0

#: What a run may take: one request after another answered at the last attempt.
LIMIT = 50 * ATTEMPTS * (TIMEOUT + QUIET)


class Counted(SerialTransport):
    """Counts the frames that a host sends and gets."""

    sent = 0

    def write(self, data: bytes) -> None:
        """Send a frame."""
        self.sent += 1
        super().write(data)


def make_program(rng: np.random.Generator) -> Program:
    """A dense layer of random weights."""
    network = Network("faults")
    for name, ports, width in (("x", network.inputs, 24), ("y", network.outputs, 10)):
        ports.append(Port(name, name, (width,)))
        network.tensors[name] = Tensor(name, (1, 1, width), 1.0)
    network.nodes.append(
        FullyConnected(
            name="dense", inputs=("x",), output="y",
            weights=rng.integers(-128, 128, (10, 24), dtype=np.int8),
            bias=rng.integers(-999, 999, 10, dtype=np.int32),
            requantize=Requantize(shift=np.full(10, 9, np.int32), zero_point=0),
        )
    )  # fmt: skip
    return compile_network(network, Config(rows=4, columns=4))


class Faults:
    """A simulated board on a bad line, its program and inputs, and what came of every run."""

    def __init__(self, seed: int):
        rng = np.random.default_rng(seed)
        self.program = make_program(rng)
        self.inputs = {"x": rng.integers(-128, 128, (8, 1, 1, 24), dtype=np.int8)}
        self.expected = golden.run(self.program, self.inputs).outputs["y"]
        self.board = SimulatedBoard(self.program.config, self.program, noise=Noise(seed, **NOISE))
        self.came_of: Counter[str] = Counter()
        self.frames = 0
        self.longest = 0.0

    def run(self, disturb: Callable[[int], None]) -> None:
        """All samples once; `disturb` is called with the number of those done."""
        transport = Counted(self.board.port, baud=BAUD, timeout=TIMEOUT)
        start = time.monotonic()
        try:
            with Driver(transport, timeout=TIMEOUT) as device:
                result = device.run(
                    self.program, self.inputs, progress=lambda _, done, __: disturb(done)
                )
            right = np.array_equal(result.outputs["y"], self.expected)
            self.came_of["right" if right else "WRONG"] += 1
        except RefusedError as error:
            self.came_of[str(error).replace(self.board.port, "PORT").split(";")[0]] += 1
        self.longest = max(self.longest, time.monotonic() - start)
        self.frames += 2 * transport.sent

    def nothing(self) -> None:
        """A run without more than the noise."""
        self.run(lambda _: None)

    def reset(self) -> None:
        """The board is reset before a run."""
        self.board.reset()
        self.nothing()

    def reset_in_a_run(self) -> None:
        """The board is reset when some samples are done."""
        self.run(lambda done: self.board.reset() if done == 3 else None)

    def host_dies(self) -> None:
        """Half a frame, then another host."""
        frame = encode_request(Command.WRITE, 3, count=2, space=1, address=7, payload=bytes(8))
        transport = SerialTransport(self.board.port, baud=BAUD, timeout=TIMEOUT)
        transport.write(frame[:-6])
        transport.close()
        self.nothing()

    def two_hosts(self) -> None:
        """Another host tries the port in the middle of a run."""

        def intrude(done: int) -> None:
            if done != 3:
                return
            try:
                SerialTransport(self.board.port, baud=BAUD, timeout=TIMEOUT).close()
                self.came_of["WRONG: two hosts have the port"] += 1
            except RefusedError:
                self.came_of["a second host was refused"] += 1

        self.run(intrude)


def inject(frames: int, seed: int) -> dict:
    """Runs with faults until so many frames have been sent; what came of them."""
    print("seed", seed)
    faults = Faults(seed)
    chance = random.Random(seed)
    rare = [faults.reset, faults.reset_in_a_run, faults.host_dies, faults.two_hosts]
    with faults.board:
        while faults.frames < frames:
            chance.choice([faults.nothing] * 8 + rare)()
    return {
        "seed": seed,
        "noise_per_million_bytes": NOISE,
        "frames": faults.frames,
        "came_of_runs": dict(faults.came_of.most_common()),
        "longest_run_seconds": round(faults.longest, 1),
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
    parser.add_argument("-o", "--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    record = inject(chosen.frames, chosen.seed)
    chosen.output.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))
    sys.exit(not holds(record))


if __name__ == "__main__":
    main()
