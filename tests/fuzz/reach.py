"""What a case reaches: operators, parts of the hardware, ways to round; counted in the record."""

from __future__ import annotations

from collections.abc import Iterator

from levels import operators

from fuzz.network_cases import Case
from weft.compiler.network import Requantize

#: Parts of a configuration that a program may use or not.
_PARTS = ("window", "interleave", "pairs", "copies", "single_port", "stream", "multiplier_bits")


def reach(case: Case) -> set[str]:
    """Names of all that this case tries."""
    return set(_reached(case))


def _reached(case: Case) -> Iterator[str]:
    program, config, network = case.program, case.config, case.program.network
    yield from (f"operator {name}" for name in operators(network))
    yield from (f"part {name}" for name in _PARTS if getattr(config, name))
    if any(instruction.window for instruction in program.instructions):
        yield "the second path computes"
    if program.released is not None:
        yield "the next input comes early"
    if config.copies and any(instruction.copy_words for instruction in program.instructions):
        yield "weights are copied"
    if config.lanes < min(config.rows, config.columns):
        yield "fewer lanes than columns"
    if len(network.inputs) > 1:
        yield "several inputs"
    if len(network.outputs) > 1:
        yield "several outputs"
    scalings = [rq for node in network.nodes if (rq := getattr(node, "requantize", None))]
    yield from (f"rounding {rq.rounding}" for rq in scalings if isinstance(rq, Requantize))
    if any(tensor.zero_point == -128 for tensor in network.tensors.values()):
        yield "unsigned codes"
