"""Known answers: what golden computes here, and what a board does."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from weft.boards.driver import Driver, Progress
from weft.boards.layer_runs import run_layers
from weft.boards.memory_check import MemoryFault, check_memory
from weft.compiler.program import Program
from weft.console import say, wrap
from weft.errors import InputError
from weft.hw.config import Space
from weft.sim import golden
from weft.sim.engine import Divergence, compare

if TYPE_CHECKING:
    from weft.device import Device

#: What a divergence calls the board.
BOARD = "board"


@dataclass(frozen=True)
class SelfTested:
    """How a board did in its self-test.

    Parameters
    ----------
    port, config_digest, program_digest : str
    memory_words : int
        Of the activation memory, each written and read with a pattern and its complement.
    samples, seed : int
    estimated : int
        Cycles of an inference, as the compiler says.
    measured : tuple of int
        Those that the board counted, one per sample.
    fault : MemoryFault or None
    first_divergence : Divergence or None
        From golden; of the first layer that differs.
    """

    port: str
    config_digest: str
    program_digest: str
    memory_words: int
    samples: int
    seed: int
    estimated: int
    measured: tuple[int, ...]
    fault: MemoryFault | None
    first_divergence: Divergence | None

    @property
    def holds(self) -> bool:
        """Memory, answers and cycles are as they should be."""
        right = all(cycles == self.estimated for cycles in self.measured)
        return right and self.fault is None and self.first_divergence is None

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        found = self.first_divergence
        return {
            "passed": self.holds,
            "port": self.port,
            "config_digest": self.config_digest,
            "program_digest": self.program_digest,
            "memory_words": self.memory_words,
            "memory_fault": None if self.fault is None else asdict(self.fault),
            "samples": self.samples,
            "seed": self.seed,
            "estimated": self.estimated,
            "measured": list(self.measured),
            "first_divergence": None if found is None else found.to_json(),
        }

    def show(self) -> None:
        """Print it for a person."""
        for line in self.lines():
            say(wrap(line))
        say(f"self-test {'passed' if self.holds else 'FAILED'} on {self.port}")

    def lines(self) -> list[str]:
        """What was found, a sentence each."""
        words = f"activation memory: {self.memory_words:,} words"
        lines = [f"{words} hold what is written" if self.fault is None else f"{self.fault}"]
        if self.fault is not None:
            return lines
        if self.first_divergence is None:
            lines.append(
                f"outputs equal golden's on {self.samples} random samples (seed {self.seed})"
            )
        else:
            lines.append(f"not equal (seed {self.seed}): {self.first_divergence}")
        wrong = [cycles for cycles in self.measured if cycles != self.estimated]
        if wrong:
            lines.append(f"{wrong[0]:,} cycles instead of {self.estimated:,}")
        else:
            lines.append(f"{self.estimated:,} cycles per sample, as estimated")
        return lines


def self_test(
    device: Device, *, seed: int, samples: int, progress: Progress | None = None
) -> SelfTested:
    """See `weft.Device.self_test`."""
    if samples < 1:
        raise InputError(f"samples must be a positive number, not {samples!r}")
    program, driver = device.program, device.driver
    device.prepare(progress)
    config = program.config
    found = None
    measured: list[int] = []
    fault = check_memory(
        driver, config, seed=seed,
        progress=None if progress is None else lambda done, total: progress("memory", done, total),
    )  # fmt: skip
    if fault is None:
        codes = random_codes(program, seed, samples)
        expected = golden.run(program, codes).outputs
        result = driver.run(program, codes, progress=progress)
        measured = result.cycles
        found = compare(expected, result.outputs, level=BOARD)
        if found is not None:
            found = _locate(driver, program, codes, found)
    return SelfTested(
        port=device.port,
        config_digest=config.digest,
        program_digest=program.digest,
        memory_words=config.activation_depth * config.row_words(Space.ACTIVATION),
        samples=samples,
        seed=seed,
        estimated=sum(int(layer["cycles"]) for layer in program.layers),
        measured=tuple(measured),
        fault=fault,
        first_divergence=found,
    )


def random_codes(program: Program, seed: int, samples: int) -> dict[str, np.ndarray]:
    """Random samples of every input: int8 arrays (N, H, W, C) by tensor name."""
    rng = np.random.default_rng(seed)
    tensors = program.network.tensors
    return {
        name: rng.integers(-128, 128, (samples, *tensors[name].shape), np.int8)
        for name in program.core_inputs
    }


def _locate(
    driver: Driver, program: Program, codes: dict[str, np.ndarray], found: Divergence
) -> Divergence:
    """The first layer that differs in a sample whose outputs do."""
    sample = found.index[0]
    one = {name: array[sample : sample + 1] for name, array in codes.items()}
    expected = golden.run_network(program.network, one, keep=True)
    runs = run_layers(driver, program, {name: array[0] for name, array in one.items()})
    actual = {run.tensor: run.codes[None] for run in runs if run.codes is not None}
    names = [name for name in expected if name in actual]
    first = compare(expected, actual, level=BOARD, names=names)
    if first is None:
        return found  # the layers do well, one by one
    n, y, x, c = first.index
    return Divergence(
        BOARD, first.tensor, (n + sample, y, x, c), first.expected, first.actual,
        name=_own_name(program, first.tensor),
    )  # fmt: skip


def _own_name(program: Program, tensor: str) -> str:
    """The model's own name for a tensor, where it has one."""
    ports = program.network.activations
    return next((port.name for port in ports if port.tensor == tensor), tensor)
