"""Where tensors lie in the activation memory: those that never live together may overlap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from weft.compiler.network import Tensor
from weft.compiler.passes import Pass
from weft.compiler.program import Placement


def lifetimes(
    passes: Sequence[Pass], inputs: Iterable[str], outputs: Iterable[str]
) -> dict[str, tuple[int, int]]:
    """First and last pass at which each tensor must be in memory, by tensor name.

    A network's inputs are there before pass 0, its outputs after the last.
    """
    spans: dict[str, tuple[int, int]] = dict.fromkeys(inputs, (-1, -1))
    for index, step in enumerate(passes):
        for name in (*step.sources, step.target):
            start, _ = spans.get(name, (index, index))
            spans[name] = (start, index)
    for name in outputs:
        start, _ = spans.get(name, (-1, -1))
        spans[name] = (start, len(passes))
    return spans


def allocate(
    tensors: Mapping[str, Tensor], spans: Mapping[str, tuple[int, int]], *, rows: int
) -> dict[str, Placement]:
    """Places every tensor in `spans`: the largest first, each at the lowest free address."""
    blocks = {name: -(-tensors[name].shape[2] // rows) for name in spans}
    sizes = {name: tensors[name].shape[0] * tensors[name].shape[1] * blocks[name] for name in spans}
    placed: dict[str, Placement] = {}
    for name in sorted(spans, key=lambda name: (-sizes[name], spans[name], name)):
        start, end = spans[name]
        neighbours = sorted(
            (placed[other].base, placed[other].base + sizes[other])
            for other in placed
            if spans[other][0] <= end and start <= spans[other][1]
        )
        base = 0
        for low, high in neighbours:
            if base + sizes[name] <= low:
                break
            base = max(base, high)
        placed[name] = Placement(base, *tensors[name].shape, blocks[name])
    return placed
