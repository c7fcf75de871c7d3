"""The histogram of dynamic range as text: a terminal's heat map."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from weft.compiler.calibrate_types import WEIGHTS
from weft.compiler.calibration_report import TensorReport
from weft.console import WIDTH, percent, say, short
from weft.report.bits import Axis, BitRow, axis_of, bit_row

#: From no to many values.
SHADES = " .:-=+#"

#: Shares of a tensor's values from which on a shade is the next one; some have the first.
_THRESHOLDS = (1e-4, 1e-3, 1e-2, 0.03, 0.1)

#: Columns of a name, and of the share of zeros at the end.
_NAME = 19
_ZEROS = 7

#: Powers of two that fit between: two columns each, for a bracket and a shade.
_POWERS = (WIDTH - _NAME - _ZEROS - 2) // 2


def show_bits(tensors: Sequence[TensorReport]) -> None:
    """Print where the most significant bits of activations and of weights lie."""
    for heading, kind in (("bits of activations", "activation"), ("bits of weights", "weights")):
        some = [tensor for tensor in tensors if tensor.kind == kind]
        if some:
            for line in bit_lines(heading, some):
                say(line)
            say()
    say(f"Values by their most significant bit, from few to many: {' '.join(SHADES[1:])}")
    say("[ ] what the type holds: left of it values saturate, right of it most vanish")
    say()


def bit_lines(heading: str, tensors: Sequence[TensorReport]) -> list[str]:
    """A line of powers of two and one for each tensor, none longer than 80 columns."""
    axis = axis_of(tensors, _POWERS - 1)
    ruler = f"{_ruler(axis):{2 * axis.columns + 1}} {'zeros':>{_ZEROS}}"
    return [f"{heading:{_NAME}}{ruler}", *(_line(tensor, axis) for tensor in tensors)]


def _ruler(axis: Axis) -> str:
    """Every fourth power, and dots above the column of all that is less."""
    text = ""
    for i, power in enumerate(axis.powers):
        if power % 4 == 0:
            text = f"{text:{2 * i}} 2^{power}"
    return f"{text:{2 * len(axis.powers)}} …" if axis.less else text


def _line(tensor: TensorReport, axis: Axis) -> str:
    row = bit_row(tensor, axis)
    name = short(tensor.name.removesuffix(WEIGHTS), _NAME - 1)
    zeros = percent(row.zeros) if row.known else ""
    return f"{name:{_NAME}}{_cells(row, axis)} {zeros:>{_ZEROS}}".rstrip()


def _cells(row: BitRow, axis: Axis) -> str:
    window = row.window
    left = math.floor(axis.place(max(window.positive, window.negative)))
    right = math.ceil(axis.place(window.bottom))
    brackets = {left: "[", right: "]"} if left < right else {}
    shades = [_shade(share) for share in row.positive + row.negative]
    return "".join(brackets.get(i, " ") + shade for i, shade in enumerate([*shades, ""]))


def _shade(share: float) -> str:
    return SHADES[1 + int(np.searchsorted(_THRESHOLDS, share, "right"))] if share else SHADES[0]
