"""Which activations share a scale, and how fine a scale the nodes allow.

Every limit makes a scale coarser, never finer, so applying them until nothing
changes ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from weft.compiler.fixed_point import FRACTION_LIMITS
from weft.compiler.quantize_fuse import MOVES, FusedNode
from weft.compiler.quantize_weights import coarsest_weight_fraction

#: Largest difference of fraction bits between the operands of an Add, and of
#: AveragePool's output to its input: beyond, the coarser one hides the finer.
MAX_LEFT = 15


class Fractions:
    """Fraction bits by tensor; tensors joined by moves have one value.

    Parameters
    ----------
    nodes : list of FusedNode
    names : iterable of str
        Tensors whose value is to be chosen.
    fixed : mapping of name to int
        Values that stay.
    """

    def __init__(self, nodes: list[FusedNode], names: Iterable[str], fixed: Mapping[str, int]):
        self._leader = {name: name for name in names}
        self._values: dict[str, int] = {}
        self._fixed = dict(fixed)
        for fused in nodes:
            if fused.node.op in MOVES:
                self._join(fused.node.inputs[0], fused.node.output)

    def __getitem__(self, name: str) -> int:
        """Value of a tensor."""
        if name in self._leader:
            name = self._find(name)
        return self._fixed[name] if name in self._fixed else self._values[name]

    def __contains__(self, name: str) -> bool:
        return name in self._leader or name in self._fixed

    def free(self) -> list[str]:
        """Tensors whose value was to be chosen."""
        return list(self._leader)

    def groups(self) -> Iterator[list[str]]:
        """Tensors of one value each, except where it is fixed."""
        members: dict[str, list[str]] = {}
        for name in self._leader:
            members.setdefault(self._find(name), []).append(name)
        return (group for leader, group in members.items() if leader not in self._fixed)

    def set(self, name: str, value: int) -> None:
        """Choose the value of a tensor and its group."""
        self._values[self._find(name)] = value

    def lower(self, name: str, limit: int) -> bool:
        """Make a value `limit` at most; whether that changed it."""
        limit = max(limit, FRACTION_LIMITS[0])
        if name not in self._leader or self._find(name) in self._fixed or self[name] <= limit:
            return False
        self.set(name, limit)
        return True

    def _find(self, name: str) -> str:
        while self._leader[name] != name:
            name = self._leader[name]
        return name

    def _join(self, one: str, two: str) -> None:
        free = [name for name in (one, two) if name in self._leader]
        fixed = [name for name in (one, two) if name in self._fixed]
        leaders = [self._find(name) for name in free]
        if len(leaders) == 2 and leaders[0] != leaders[1]:
            # A group with a fixed member is led by that value.
            if leaders[0] in self._fixed:
                leaders.reverse()
            self._leader[leaders[0]] = leaders[1]
        elif len(leaders) == 1 and fixed:
            self._fixed.setdefault(leaders[0], self._fixed[fixed[0]])


def apply_limits(nodes: list[FusedNode], fractions: Fractions) -> None:
    """Lower fraction bits until every node can compute with them."""
    changed = True
    while changed:
        changed = False
        for fused in nodes:
            for name, limit in _limits(fused, fractions):
                changed |= fractions.lower(name, limit)


def _limits(fused: FusedNode, fractions: Fractions) -> Iterator[tuple[str, int]]:
    """(tensor, most fraction bits) as this node wants them."""
    node = fused.node
    if any(name not in fractions for name in (*node.inputs, node.output)):
        return
    values = [fractions[name] for name in node.inputs]
    if node.op in ("Conv2D", "FullyConnected"):
        weight = coarsest_weight_fraction(node)
        if weight is not None:
            yield node.output, values[0] + weight
    elif node.op == "Add":
        for name in node.inputs:
            yield name, min(values) + MAX_LEFT
        yield node.output, max(values)
    elif node.op == "Concat":
        yield node.output, min(values)
    elif node.op == "AveragePool":
        count = math.prod(node.attributes["kernel"])
        room = 23 - math.ceil(math.log2(count))  # the shifted sum stays within 31 bits
        yield node.output, values[0] + min(MAX_LEFT, room)
