"""A program and its inputs as words for the core's ports, for every engine that has ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from weft.compiler.program import Program
from weft.errors import InputError
from weft.sim.engine import RunResult

#: Cycles an inference may take where the program has no estimate: minutes in Verilator.
GENEROUS = 50_000_000


@dataclass(eq=False)
class Job:
    """One program and the samples it runs on.

    Parameters
    ----------
    program : Program
    inputs : mapping of tensor name to int8 array, shape (N, H, W, C)

    Raises
    ------
    InputError
        If a tensor is missing, not int8 or of another shape, if the tensors disagree
        about N, or N is 0.
    """

    program: Program
    inputs: Mapping[str, np.ndarray]
    samples: int = field(init=False)

    def __post_init__(self) -> None:
        self.samples = self.program.check_inputs(self.inputs)

    @cached_property
    def load(self) -> np.ndarray:
        """Words that load the images: `LOAD_WORD`."""
        return self.program.load_words()

    @cached_property
    def input(self) -> list[np.ndarray]:
        """Words of each sample: `LOAD_WORD`."""
        names = self.program.core_inputs
        return [
            self.program.input_words({name: self.inputs[name][index] for name in names})
            for index in range(self.samples)
        ]

    @cached_property
    def addresses(self) -> np.ndarray:
        """Addresses to read after each sample: uint32."""
        return self.program.output_addresses()

    @property
    def limit(self) -> int:
        """Cycles that an inference may take before it counts as stuck."""
        layers = self.program.layers
        estimates = [n for layer in layers if isinstance(n := layer.get("cycles"), int)]
        if layers and len(estimates) == len(layers):
            return 4 * sum(estimates) + 10_000
        return GENEROUS

    def result(self, words: np.ndarray, cycles: Sequence[int]) -> RunResult:
        """Outputs from the words read, shape (samples, reads)."""
        decoded = [self.program.decode(row) for row in words]
        outputs = {
            name: np.stack([tensors[name] for tensors in decoded])
            for name in self.program.core_outputs
        }
        return RunResult(outputs=outputs, cycles=[int(count) for count in cycles], tensors=None)

    def expected_words(self, outputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Words that reading must give for `outputs`, and the bits that matter.

        Returns
        -------
        expected, mask : uint32 array, shape (samples * reads,)
        """
        size = 4 * len(self.addresses)
        # decode() alone knows the layout: ask it where each byte of the stream goes, in
        # three parts because a byte holds 8 bits of an index.
        index = np.arange(size, dtype=np.uint32)
        parts = [
            self.program.decode((index >> shift & 0xFF).astype(np.uint8).view("<u4"))
            for shift in (0, 8, 16)
        ]
        expected = np.zeros((self.samples, size), np.uint8)
        mask = np.zeros((self.samples, size), np.uint8)
        for name in self.program.core_outputs:
            low, middle, high = (part[name].view(np.uint8).astype(np.int64) for part in parts)
            places = (low | middle << 8 | high << 16).reshape(-1)
            expected[:, places] = outputs[name].reshape(self.samples, -1).view(np.uint8)
            mask[:, places] = 0xFF
        return expected.reshape(-1).view("<u4"), mask.reshape(-1).view("<u4")


def same_configuration(jobs: Sequence[Job]) -> None:
    """Raise `InputError` unless all programs are made for one configuration."""
    if len({job.program.config.digest for job in jobs}) > 1:
        raise InputError("programs that run together must be compiled for one configuration")
