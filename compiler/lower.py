"""Lowering: every node of the integer graph as passes of the array."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from weft.compiler import lower_moves as moves
from weft.compiler import lower_pairs as pairs
from weft.compiler import lower_windows as windows
from weft.compiler.fold import Fold
from weft.compiler.lower_common import Context, LoweringError, copy
from weft.compiler.network import (
    Add,
    AveragePool,
    Concat,
    Conv2D,
    FullyConnected,
    MaxPool,
    Mean,
    Mul,
    Network,
    Node,
    Pad,
    Permute,
    Rescale,
    Slice,
    Softmax,
    Table,
    Tensor,
)
from weft.compiler.passes import Pass
from weft.compiler.window_limits import LARGEST_MOVES
from weft.errors import Problem
from weft.hw.config import Config


class Lowering:
    """A network as passes for a configuration; memory depths do not matter.

    Attributes
    ----------
    passes : list of Pass
        In execution order.
    tensors : dict of name to Tensor
        As they lie in memory, and temporary ones.
    folds : dict of name to Fold
        Inputs that lie folded.
    problems : list of Problem
        Everything that cannot be lowered.
    """

    def __init__(self, network: Network, config: Config):
        context = Context(network, config)
        self.tensors: dict[str, Tensor] = context.tensors
        self.folds: dict[str, Fold] = context.folds
        self.passes: list[Pass] = []
        self.problems: list[Problem] = []
        left = LARGEST_MOVES
        for node in network.nodes:
            try:
                for step in _LOWER[type(node)](context, node):
                    self.passes.append(step)
                    # A layer's weights are in the model, as they are here.
                    left -= 0 if isinstance(node, Conv2D | FullyConnected) else step.kernel.size
                    if left < 0:
                        raise LoweringError(
                            f"kernels up to here have more than {LARGEST_MOVES:,} numbers, beside "
                            "the model's own",
                            "use fewer channels",
                        )
            except LoweringError as error:
                self.problems.append(
                    Problem(node.name, type(node).__name__, error.reason, error.remedy)
                )


def _table(context: Context, node: Table) -> Iterator[Pass]:
    source, target = context.source(node), context.target(node)
    yield replace(copy(node, source, target), table=node.table)


def _softmax(context: Context, node: Softmax) -> Iterator[Pass]:
    if any(node.output in other.inputs for other in context.network.nodes):
        raise LoweringError(
            "it stands in the middle of the network, and only the last one runs, in the host",
            "cut the model behind it, or replace it by Sigmoid",
        )
    return iter(())


_LOWER: dict[type[Node], Callable[..., Iterator[Pass]]] = {
    Add: pairs.add,
    AveragePool: windows.average_pool,
    Concat: moves.concat,
    Conv2D: windows.conv2d,
    FullyConnected: windows.fully_connected,
    MaxPool: windows.max_pool,
    Mean: windows.mean,
    Mul: pairs.mul,
    Pad: moves.pad,
    Permute: moves.permute,
    Rescale: windows.rescale,
    Slice: moves.cut,
    Softmax: _softmax,
    Table: _table,
}
