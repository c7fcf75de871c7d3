"""Where tensors lie in the activation memory: those that never live together may overlap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from weft.compiler.network import Tensor
from weft.compiler.passes import Pass
from weft.compiler.program import Placement

#: First and last pass.
Span = tuple[int, int]

#: Orders that are tried where the first is not the best there can be.
TRIES = 300


def lifetimes(
    passes: Sequence[Pass], inputs: Iterable[str], outputs: Iterable[str]
) -> dict[str, Span]:
    """First and last pass at which each tensor must be in memory, by tensor name.

    A network's inputs are there before pass 0, its outputs after the last.
    """
    spans: dict[str, Span] = dict.fromkeys(inputs, (-1, -1))
    for index, step in enumerate(passes):
        for name in (*step.sources, step.target):
            start, _ = spans.get(name, (index, index))
            spans[name] = (start, index)
    for name in outputs:
        start, _ = spans.get(name, (-1, -1))
        spans[name] = (start, len(passes))
    return spans


def allocate(
    tensors: Mapping[str, Tensor],
    spans: Mapping[str, Span],
    *,
    rows: int,
    again: Mapping[str, Span] | None = None,
) -> dict[str, Placement]:
    """Places every tensor in `spans`, in as few words as the best of many tries takes.

    Those in `again` live a second time, at the same place: in between others may lie there.

    In each try tensors go one after another to the lowest address free while they live: first the
    largest first, then in orders that change a little at random, always the same ones.
    """
    blocks = {name: -(-tensors[name].shape[2] // rows) for name in spans}
    sizes = {name: tensors[name].shape[0] * tensors[name].shape[1] * blocks[name] for name in spans}
    order = sorted(spans, key=lambda name: (-sizes[name], spans[name], name))
    times = {name: [span] for name, span in spans.items()}
    for name, span in (again or {}).items():
        times[name].append(span)
    least = _most_alive(sizes, times)
    rng = np.random.default_rng(0)
    neighbours = {
        name: [other for other in spans if _meet(times[name], times[other])] for name in spans
    }
    best, words = _place(order, sizes, neighbours)
    for _ in range(TRIES):
        if words == least:
            break
        trial = list(order)
        first, second = rng.integers(0, len(trial), 2)
        trial.insert(first, trial.pop(second))
        bases, size = _place(trial, sizes, neighbours)
        if size <= words:
            best, words, order = bases, size, trial
    return {name: Placement(best[name], *tensors[name].shape, blocks[name]) for name in spans}


def _place(
    order: Sequence[str], sizes: Mapping[str, int], neighbours: Mapping[str, Sequence[str]]
) -> tuple[dict[str, int], int]:
    """First word of every tensor, each at the lowest free address, and words in all."""
    bases: dict[str, int] = {}
    for name in order:
        taken = sorted(
            (bases[other], bases[other] + sizes[other])
            for other in neighbours[name]
            if other in bases
        )
        base = 0
        for low, high in taken:
            if base + sizes[name] <= low:
                break
            base = max(base, high)
        bases[name] = base
    return bases, max(bases[name] + sizes[name] for name in bases)


def _meet(one: Sequence[Span], other: Sequence[Span]) -> bool:
    """Whether two tensors live at the same time."""
    return any(a <= d and c <= b for a, b in one for c, d in other)


def _most_alive(sizes: Mapping[str, int], times: Mapping[str, Sequence[Span]]) -> int:
    """Words of the tensors that live together: fewer there cannot be."""
    moments = {moment for spans in times.values() for span in spans for moment in span}
    return max(
        sum(sizes[name] for name, spans in times.items() if _meet(spans, [(moment, moment)]))
        for moment in moments
    )
