"""Calibration samples that repairs are measured on, and the float model's tensors on them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

import numpy as np

from weft.compiler.calibrate import kept_tensors
from weft.compiler.calibration_samples import Batch, Samples
from weft.compiler.edges import encode_inputs, in_memory
from weft.compiler.float_graph import FloatGraph
from weft.compiler.float_onnx import float_onnx
from weft.compiler.float_run import FloatRunner
from weft.compiler.network import Network, Softmax, Tensor
from weft.compiler.quantize_fuse import memory_of
from weft.compiler.quantize_ports import make_port
from weft.sim import golden

#: At most so many samples are held, and fewer where their tensors have more elements than this.
SAMPLES, ELEMENTS = 256, 1 << 28

#: Samples run at once, and fewer where their tensors have more elements than this.
_AT_ONCE, _ELEMENTS_AT_ONCE = 16, 1 << 24

Arrays: TypeAlias = Mapping[str, np.ndarray]


def hold(graph: FloatGraph, samples: Samples) -> tuple[dict[str, np.ndarray], Samples]:
    """The first samples, in memory, and all of them, still to be read once."""
    room = _room(graph, SAMPLES, ELEMENTS)
    taken: list[Batch] = []
    while sum(map(_count, taken)) < room and (batch := next(samples.batches, None)) is not None:
        taken.append(batch)
    held = {name: np.concatenate([batch[name] for batch in taken])[:room] for name in graph.inputs}
    return held, Samples(chain(taken, samples.batches), samples.total)


def _room(graph: FloatGraph, samples: int, elements: int) -> int:
    """`samples`, or as many as have that many elements in all tensors; at least one."""
    size = sum(math.prod(tensor.shape) for tensor in graph.tensors.values())
    return max(1, min(samples, elements // size))


def _count(batch: Batch) -> int:
    return len(next(iter(batch.values())))


@dataclass(frozen=True)
class Errors:
    """Signal-to-noise ratios in dB of a network as it runs; infinite where there is no error.

    Parameters
    ----------
    outputs : float
        Of all outputs together; what goes into a Softmax stands for what comes out of it.
    layers : dict of tensor name to float
    """

    outputs: float
    layers: dict[str, float]


class HeldSamples:
    """The float side of what repairs compare, in the integer graph's layout.

    Parameters
    ----------
    graph : FloatGraph
    arrays : mapping of input name to float32 array (N, *the file's shape)
    """

    def __init__(self, graph: FloatGraph, arrays: Arrays):
        self.graph = graph
        self.arrays = arrays
        self.count = len(next(iter(arrays.values())))
        self._model = float_onnx(graph)

    def names(self, network: Network) -> dict[str, str]:
        """The graph's name for each of the network's tensors that it has."""
        known = {port.tensor: memory_of(self.graph, port.name) for port in network.outputs}
        names = {name: known.get(name, name) for name in network.tensors}
        return {name: own for name, own in names.items() if own in self.graph.tensors}

    def codes(self, network: Network) -> dict[str, np.ndarray]:
        """The samples as the network's inputs."""
        return encode_inputs(network, self.arrays)

    def parts(self, names: Mapping[str, str]) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
        """Float tensors (N, H, W, C) of some samples after the others, by the network's names."""
        ports = {name: make_port(self.graph, own) for name, own in names.items()}
        runner = FloatRunner(self._model, [port.name for port in ports.values()])
        step = _room(self.graph, _AT_ONCE, _ELEMENTS_AT_ONCE)
        for start in range(0, self.count, step):
            some = slice(start, start + step)
            batches = list(runner.run({key: array[some] for key, array in self.arrays.items()}))
            found = {}
            for name, port in ports.items():
                values = np.concatenate([batch[port.name] for batch in batches])
                tensor = Tensor(name, self.graph.tensors[port.name].shape, 1.0)
                found[name] = in_memory(port, tensor, values)
            yield some, found

    def largest(self) -> dict[str, np.ndarray]:
        """Largest absolute value of each channel, float (C,), of the tensors that stay."""
        names = kept_tensors(self.graph)
        result: dict[str, np.ndarray] = {}
        for _, floats in self.parts({name: name for name in names}):
            for name, values in floats.items():
                most = np.abs(values).max(axis=(0, 1, 2))
                result[name] = np.maximum(result.get(name, most), most)
        return result

    def errors(self, network: Network) -> Errors:
        """How far the network is from the float model on these samples."""
        codes = self.codes(network)
        softmaxes = {
            node.output: node.inputs[0] for node in network.nodes if isinstance(node, Softmax)
        }
        outputs = {softmaxes.get(port.tensor, port.tensor) for port in network.outputs}
        names = self.names(network)
        sums = {name: np.zeros(2) for name in names}
        for some, floats in self.parts(names):
            part = {name: array[some] for name, array in codes.items()}
            tensors = golden.run_network(network, part, keep=True)
            for name, values in floats.items():
                tensor, wide = network.tensors[name], values.astype(np.float64)
                held = (tensors[name].astype(np.float64) - tensor.zero_point) * tensor.scale
                sums[name] += (np.square(wide).sum(), np.square(wide - held).sum())
        total = sum((sums[name] for name in sorted(outputs) if name in sums), np.zeros(2))
        return Errors(decibels(total), {name: decibels(found) for name, found in sums.items()})


def decibels(sums: np.ndarray) -> float:
    """Ratio of two sums of squares: signal, noise."""
    signal, noise = (float(value) for value in sums)
    return 10 * math.log10(signal / noise) if signal and noise else math.inf
