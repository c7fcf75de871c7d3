"""A float model in which any tensor can be given instead of computed.

That tells what a layer does to values that are not the model's own, and what an error at one
place does to everything behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from weft.compiler.float_graph import FloatGraph
from weft.compiler.float_onnx import float_onnx
from weft.compiler.float_run import FloatRunner


class OverridingRunner:
    """Runs a float graph with some tensors given.

    Parameters
    ----------
    graph : FloatGraph
    names : sequence of str
        Tensors that may be given; inputs as well.
    outputs : sequence of str
        Tensors to show as they are behind everything given.
    """

    def __init__(self, graph: FloatGraph, names: Sequence[str], outputs: Sequence[str]):
        ranks = {name: len(graph.tensors[name].file_shape) for name in names}
        self._ranks = ranks
        self._outputs = list(outputs)
        changed = float_onnx(graph, through=True)
        self._inputs = {value.name for value in changed.graph.input}
        self._values = {name: f"weft.value.{i}" for i, name in enumerate(ranks)}
        self._given = {name: f"weft.given.{i}" for i, name in enumerate(ranks)}
        self._computed = {name: f"weft.computed.{i}" for i, name in enumerate(ranks)}
        _insert(changed.graph, self)
        made = [self._computed[name] for name in ranks if name not in self._inputs]
        self._ends = FloatRunner(changed, self._outputs)
        self._all = FloatRunner(changed, made)

    def outputs(
        self, arrays: Mapping[str, np.ndarray], given: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Outputs.

        Parameters
        ----------
        arrays : mapping of input name to float32 array (N, *the model's shape)
        given : mapping of tensor name to float32 array in the file's shape
        """
        return self._run(self._ends, arrays, given)

    def computed(
        self, arrays: Mapping[str, np.ndarray], given: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """What the tensors that may be given would be without being given themselves."""
        tensors = self._run(self._all, arrays, given)
        return {
            name: arrays[name] if name in self._inputs else tensors[self._computed[name]]
            for name in self._ranks
        }

    def _run(
        self,
        runner: FloatRunner,
        arrays: Mapping[str, np.ndarray],
        given: Mapping[str, np.ndarray],
    ) -> dict[str, np.ndarray]:
        samples = len(next(iter(arrays.values())))
        feeds = dict(arrays)
        for name, rank in self._ranks.items():
            nothing = np.zeros((samples, *(1,) * (rank - 1)), np.float32)
            feeds[self._values[name]] = given.get(name, nothing)
            feeds[self._given[name]] = np.full(nothing.shape, name in given)
        batches = list(runner.run(feeds))
        return {name: np.concatenate([batch[name] for batch in batches]) for name in runner.names}


def _insert(graph: onnx.GraphProto, runner: OverridingRunner) -> None:
    """Put a Where behind every tensor that may be given."""
    names = runner._computed
    behind = {name: f"weft.input.{name}" for name in names if name in runner._inputs}
    nodes = []
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = behind.get(name, name)
        made = [name for name in node.output if name in names]
        for i, name in enumerate(node.output):
            node.output[i] = names.get(name, name)
        nodes += [node, *(_where(runner, name, names[name], name) for name in made)]
    first = [_where(runner, name, name, output) for name, output in behind.items()]
    del graph.node[:]
    graph.node.extend([*first, *nodes])
    for name in names:
        graph.input.extend(
            [
                helper.make_tensor_value_info(runner._values[name], TensorProto.FLOAT, None),
                helper.make_tensor_value_info(runner._given[name], TensorProto.BOOL, None),
            ]
        )


def _where(runner: OverridingRunner, name: str, computed: str, output: str) -> onnx.NodeProto:
    return helper.make_node(
        "Where", [runner._given[name], runner._values[name], computed], [output]
    )
