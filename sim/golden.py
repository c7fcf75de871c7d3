"""The golden model: what a network's integers are, in NumPy and nothing else.

Every other engine is measured against this file, so it shares no code with them: it
knows a network's nodes by their class names and attributes only. ``docs/arithmetic.md``
states the formulas. Arithmetic is exact; where a number would not fit the int32 that
the formulas assume, golden refuses with an `OverflowError` and never wraps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1

#: Elements of unfolded windows held at a time, so that large batches need little memory.
WINDOW_ELEMENTS = 1 << 23


@dataclass
class RunResult:
    """What an engine returns; `weft.sim.engine` shows it to the others.

    Parameters
    ----------
    outputs : dict of tensor name to int8 array, shape (N, H, W, C)
    cycles : list of int, one per sample, or None where the engine has no clock
    tensors : dict of tensor name to int8 array, or None where the engine shows none
    """

    outputs: dict[str, np.ndarray]
    cycles: list[int] | None = None
    tensors: dict[str, np.ndarray] | None = None


def run(program: Any, inputs: Mapping[str, np.ndarray]) -> RunResult:
    """Run a program's network; `tensors` has every tensor in execution order."""
    tensors = run_network(program.network, inputs, keep=True)
    return RunResult({name: tensors[name] for name in shown(program.network)}, None, tensors)


def run_network(
    network: Any, inputs: Mapping[str, np.ndarray], keep: bool = False
) -> dict[str, np.ndarray]:
    """Compute a network on a batch of samples.

    Parameters
    ----------
    network : weft.compiler.network.Network
    inputs : mapping of tensor name to int8 array, shape (N, H, W, C)
        One for each input of the network, all with the same N.
    keep : bool
        Return every tensor, not only those that `shown` names.

    Returns
    -------
    dict of tensor name to int8 array, shape (N, H, W, C), in execution order

    Raises
    ------
    OverflowError
        If an accumulator does not fit int32.
    ValueError
        If an input is missing or unfit, or a node does not agree with its tensors.
    """
    values = _checked_inputs(network, inputs)
    wanted = set(network.tensors if keep else shown(network))
    last_use = {name: i for i, node in enumerate(network.nodes) for name in node.inputs}
    for i, node in enumerate(network.nodes):
        values[node.output] = run_node(network, node, values)
        for name in set(node.inputs) - wanted:
            if last_use[name] == i:
                del values[name]
    return {name: value for name, value in values.items() if name in wanted}


def shown(network: Any) -> list[str]:
    """Tensors at a network's outputs, each host Softmax preceded by what the core gives it."""
    made_by = {node.output: node for node in network.nodes}
    names: dict[str, None] = {}
    for port in network.outputs:
        node = made_by.get(port.tensor)
        if node is not None and type(node).__name__ == "Softmax":
            names[node.inputs[0]] = None
        names[port.tensor] = None
    return list(names)


def run_node(network: Any, node: Any, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Compute one node from its inputs' values."""
    kind = type(node).__name__
    if kind not in OPERATORS:
        raise ValueError(f"{node.name!r}: golden knows no operator {kind}")
    tensors = [network.tensors[name] for name in (*node.inputs, node.output)]
    result = OPERATORS[kind](node, [values[name] for name in node.inputs], tensors)
    shape = tuple(tensors[-1].shape)
    if result.shape[1:] != shape:
        raise ValueError(
            f"{node.name!r}: computes shape {result.shape[1:]}, "
            f"but tensor {node.output!r} has {shape}"
        )
    return result


def _checked_inputs(network: Any, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    values: dict[str, np.ndarray] = {}
    for port in network.inputs:
        name, shape = port.tensor, tuple(network.tensors[port.tensor].shape)
        if name not in inputs:
            raise ValueError(f"input {name!r} is missing")
        value = np.asarray(inputs[name])
        if value.dtype != np.int8 or value.shape[1:] != shape:
            raise ValueError(
                f"input {name!r} must be int8 of shape (N, {str(shape)[1:]}, "
                f"not {value.dtype} of {value.shape}"
            )
        values[name] = value
    if len({len(value) for value in values.values()}) > 1:
        raise ValueError("inputs must have the same number of samples")
    return values


# Scaling ------------------------------------------------------------------------------


def divide(x: np.ndarray, n: np.ndarray | int) -> np.ndarray:
    """Return ``round(x / n)``, ties away from zero; n is positive."""
    return np.sign(x) * ((2 * np.abs(x) + n) // (2 * n))


def divide_power(x: np.ndarray, shift: np.ndarray | int) -> np.ndarray:
    """Return ``round(x / 2**shift)``, ties away from zero."""
    half = (np.int64(1) << np.asarray(shift, np.int64)) >> 1
    return np.sign(x) * ((np.abs(x) + half) >> shift)


def high_multiply(x: np.ndarray, m: np.ndarray | int) -> np.ndarray:
    """Return ``round(x * m / 2**31)``, ties upward: gemmlowp's SRDHM.

    The one product that gemmlowp saturates, of two -2**31, cannot occur: here no second
    factor is that small.
    """
    return (np.asarray(x, np.int64) * m + (1 << 30)) >> 31


def rounding_divide_power(x: np.ndarray, e: np.ndarray | int) -> np.ndarray:
    """Return ``round(x / 2**e)``, ties away from zero, as gemmlowp's RDPOT spells it."""
    mask = (np.int64(1) << np.asarray(e, np.int64)) - 1
    return (x >> e) + ((x & mask) > ((mask >> 1) + (x < 0)))


def quantize_multiplier(factor: float) -> tuple[int, int]:
    """TFLite's (m, s) with ``factor ~ m / 2**31 * 2**s`` and m a 31-bit integer."""
    fraction, s = np.frexp(factor)
    m = int(np.floor(float(fraction) * 2.0**31 + 0.5))
    if m == 2**31:
        m, s = m // 2, s + 1
    return (0, 0) if s < -31 else (m, int(s))


def scale_accumulator(acc: np.ndarray, rq: Any) -> np.ndarray:
    """Scale accumulators as a Requantize says, before its zero point and clamp."""
    shift = np.asarray(rq.shift, np.int64)
    if rq.rounding == "shift":
        if rq.multiplier is not None or np.any(shift < 0) or np.any(shift > 31):
            raise ValueError("rounding 'shift' takes shifts from 0 to 31 and no multiplier")
        return divide_power(acc, shift)
    if rq.multiplier is None or np.any(shift > 30):
        raise ValueError(f"rounding {rq.rounding!r} takes a multiplier and shifts up to 30")
    # Below -31 TFLite's own conversion gives up and multiplies by zero.
    multiplier = np.where(shift < -31, 0, np.asarray(rq.multiplier, np.int64))
    shift = np.maximum(shift, -31)
    if rq.rounding == "double":
        # TFLite leaves an overflow of this shift undefined. Saturating here gives what
        # exact arithmetic would: the result is beyond int8 on the same side.
        left = np.clip(acc << np.maximum(shift, 0), INT32_MIN, INT32_MAX)
        return rounding_divide_power(high_multiply(left, multiplier), np.maximum(-shift, 0))
    if rq.rounding == "single":
        return (acc * multiplier + (np.int64(1) << (30 - shift))) >> (31 - shift)
    raise ValueError(f"unknown rounding {rq.rounding!r}")


def clamp(x: np.ndarray, low: int = -128, high: int = 127) -> np.ndarray:
    """Clamp to [low, high] and make int8."""
    if not -128 <= low <= high <= 127:
        raise ValueError(f"the clamp [{low}, {high}] is not an int8 range")
    return np.clip(x, low, high).astype(np.int8)


def requantize(acc: np.ndarray, rq: Any) -> np.ndarray:
    """Codes (int8) from accumulators (int64, channels last)."""
    return clamp(scale_accumulator(acc, rq) + rq.zero_point, rq.low, rq.high)


def _fitting_int32(node: Any, acc: np.ndarray) -> np.ndarray:
    unfit = (acc < INT32_MIN) | (acc > INT32_MAX)
    if unfit.any():
        index = tuple(int(i) for i in np.argwhere(unfit)[0])
        raise OverflowError(
            f"{node.name!r}: accumulator {acc[index]} at {index} does not fit int32"
        )
    return acc


# Operators ----------------------------------------------------------------------------
# Each takes (node, the inputs' values, the inputs' and the output's Tensor) and returns
# int8 (N, H, W, C).


def _windows(
    x: np.ndarray,
    node: Any,
    fill: float,
    dilation: tuple[int, int] = (1, 1),
    kernel: tuple[int, int] | None = None,
) -> np.ndarray:
    """View of (N, OH, OW, C, kh, kw): what each output position sees."""
    (kh, kw), (dy, dx), (sy, sx) = kernel or node.kernel, dilation, node.stride
    top, left, bottom, right = node.padding
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)
    reach = ((kh - 1) * dy + 1, (kw - 1) * dx + 1)
    if reach[0] > x.shape[1] or reach[1] > x.shape[2]:
        raise ValueError(f"{node.name!r}: a window of {reach} exceeds the padded image")
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(1, 2))
    return view[:, ::sy, ::sx, :, ::dy, ::dx]


def accumulate(node: Any, x: np.ndarray, zero_point: int = 0) -> np.ndarray:
    """Accumulators (int64) of a Conv2D or FullyConnected, bias included."""
    weights, bias = np.asarray(node.weights, np.int64), np.asarray(node.bias, np.int64)
    if type(node).__name__ == "FullyConnected":
        columns, groups = x.reshape(1, len(x), 1, 1, -1), 1
    else:
        groups, taps = node.groups, weights.shape[1] * weights.shape[2]
        chunk = max(1, WINDOW_ELEMENTS // (int(np.prod(x.shape[1:])) * taps))
        if len(x) > chunk:
            parts = [x[i : i + chunk] for i in range(0, len(x), chunk)]
            return np.concatenate([accumulate(node, part, zero_point) for part in parts])
        if x.shape[3] != groups * weights.shape[3] or len(weights) % groups:
            raise ValueError(
                f"{node.name!r}: weights {weights.shape} in {groups} groups do not fit "
                f"{x.shape[3]} channels"
            )
        view = _windows(x, node, zero_point, node.dilation, weights.shape[1:3])
        n, height, width, _, kh, kw = view.shape
        view = view.reshape(n, height, width, groups, -1, kh, kw)
        columns = view.transpose(3, 0, 1, 2, 5, 6, 4).reshape(groups, n, height, width, -1)
    matrix = weights.reshape(groups, len(weights) // groups, -1)
    if matrix.shape[2] != columns.shape[4]:
        raise ValueError(
            f"{node.name!r}: weights {weights.shape} do not fit the input {x.shape[1:]}"
        )
    # Products and partial sums, in any order, are integers no larger than `bound`, so a
    # float type that holds all integers up to it loses nothing, and BLAS is fast.
    farthest = max(127 - zero_point, 128 + zero_point)
    bound = farthest * int(np.abs(matrix).sum(axis=2).max(initial=0))
    exact = np.dtype(np.float32 if bound < 2**24 else np.float64)
    if bound >= 2**53:
        raise OverflowError(f"{node.name!r}: sums up to {bound} do not fit int32")
    codes = columns.reshape(groups, -1, matrix.shape[2]).astype(exact)
    codes -= zero_point
    acc = np.matmul(codes, matrix.transpose(0, 2, 1).astype(exact))
    acc = acc.transpose(1, 0, 2).reshape(*columns.shape[1:4], len(weights)).astype(np.int64)
    return _fitting_int32(node, acc + bias)


def _weighted(node: Any, xs: list[np.ndarray], tensors: list[Any]) -> np.ndarray:
    return requantize(accumulate(node, xs[0], tensors[0].zero_point), node.requantize)


def _inside(node: Any, x: np.ndarray, dilation: tuple[int, int] = (1, 1)) -> np.ndarray:
    """Elements of each window that lie inside the image, shape (1, OH, OW, 1)."""
    ones = np.ones((1, *x.shape[1:3], 1), np.int64)
    counts = _windows(ones, node, 0, dilation).sum(axis=(4, 5))
    if not counts.all():
        raise ValueError(f"{node.name!r}: a window lies entirely in the padding")
    return counts


def _average_pool(node: Any, xs: list[np.ndarray], tensors: list[Any]) -> np.ndarray:
    fill = tensors[0].zero_point if node.count_include_pad else 0
    total = _windows(xs[0], node, fill).sum(axis=(4, 5), dtype=np.int64)
    size = node.kernel[0] * node.kernel[1]
    count = np.int64(size) if node.count_include_pad else _inside(node, xs[0])
    if abs(node.left) > 31:
        raise ValueError(f"{node.name!r}: left must be from -31 to 31, not {node.left}")
    total = _fitting_int32(node, total) << max(node.left, 0)
    return clamp(divide(total, count << max(-node.left, 0)), node.low, node.high)


def _max_pool(node: Any, xs: list[np.ndarray], tensors: list[Any]) -> np.ndarray:
    _inside(node, xs[0], node.dilation)
    # No code is below -128, so padding never wins.
    return clamp(_windows(xs[0], node, -128, node.dilation).max(axis=(4, 5)), node.low, node.high)


def _add(node: Any, xs: list[np.ndarray], tensors: list[Any]) -> np.ndarray:
    a, b = (
        (sign * x.astype(np.int64)) << left
        for x, sign, left in zip(xs, node.signs, node.left, strict=True)
    )
    return requantize(_fitting_int32(node, a + b), node.requantize)


def _table(node: Any, xs: list[np.ndarray], tensors: list[Any]) -> np.ndarray:
    return np.asarray(node.table, np.int8)[xs[0].astype(np.int64) + 128]


def _pad(node: Any, xs: list[np.ndarray], tensors: list[Any]) -> np.ndarray:
    return np.pad(xs[0], ((0, 0), *node.pads), constant_values=node.value)


def _concat(node: Any, xs: list[np.ndarray], tensors: list[Any]) -> np.ndarray:
    parts = [
        clamp(divide_power(x.astype(np.int64) << max(-shift, 0), max(shift, 0)))
        for x, shift in zip(xs, node.shift, strict=True)
    ]
    return np.concatenate(parts, axis=node.axis + 1)


def _slice(node: Any, xs: list[np.ndarray], tensors: list[Any]) -> np.ndarray:
    parts = zip(node.start, node.stop, node.step, strict=True)
    return xs[0][(slice(None), *(slice(*part) for part in parts))]


def _permute(node: Any, xs: list[np.ndarray], tensors: list[Any]) -> np.ndarray:
    n, shape = len(xs[0]), tuple(tensors[-1].shape)
    if len(node.order) != np.prod(shape):
        raise ValueError(f"{node.name!r}: an order of {len(node.order)} does not fill {shape}")
    return xs[0].reshape(n, -1)[:, node.order].reshape(n, *shape)


def _softmax(node: Any, xs: list[np.ndarray], tensors: list[Any]) -> np.ndarray:
    return softmax(xs[0], tensors[0].scale)


# Softmax, in gemmlowp's fixed point: a raw int32 with k integer bits is raw / 2**(31 - k) -


def softmax(x: np.ndarray, scale: float) -> np.ndarray:
    """TFLite's integer SOFTMAX, beta 1, over the last axis; output scale 1/256, zero -128."""
    difference = x.astype(np.int64) - x.max(axis=-1, keepdims=True)
    exponential = exponentials(scale)[-difference]
    total = rounding_divide_power(exponential, 12).sum(axis=-1, keepdims=True)
    if np.any(total > INT32_MAX):
        raise OverflowError("softmax: the sum of exponentials does not fit int32")
    bits = np.frexp(total.astype(np.float64))[1].astype(np.int64)  # bit length, exact
    reciprocal = _one_over_one_plus((total << (32 - bits)) - 2**31)
    quotient = high_multiply(exponential, reciprocal)
    return clamp(rounding_divide_power(quotient, 3 + bits) - 128)


def exponentials(scale: float) -> np.ndarray:
    """``exp(-scale * d)`` for d from 0 to 255, 0 integer bits; 0 where it is out of reach."""
    m, left = quantize_multiplier(min(scale * 2.0**26, 2.0**31 - 1))
    farthest = (31 << 26) >> max(left, 0)
    d = np.minimum(np.arange(256), farthest)
    scaled = rounding_divide_power(high_multiply(-d << max(left, 0), m), max(-left, 0))
    return np.where(np.arange(256) > farthest, 0, _exp_negative(scaled))


def _exp_negative(a: np.ndarray) -> np.ndarray:
    """Exponential of a <= 0 with 5 integer bits; the result has 0."""
    quarter = 1 << 24
    fraction = (a & (quarter - 1)) - quarter  # in [-1/4, 0)
    x = (fraction << 5) + (1 << 28)  # expand around -1/8
    x2 = high_multiply(x, x)
    x3, x4 = high_multiply(x2, x), high_multiply(x2, x2)
    third = high_multiply(rounding_divide_power(x4, 2) + x3, 715827883)  # 1/3
    series = x + rounding_divide_power(third + x2, 1)
    result = 1895147668 + high_multiply(series, 1895147668)  # exp(-1/8)
    # exp(-1/4), exp(-1/2), exp(-1), ... exp(-16): one factor for each bit of the rest.
    factors = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
    for bit, factor in enumerate(factors, start=24):
        taken = ((fraction - a) >> bit) & 1
        result = np.where(taken, high_multiply(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def _one_over_one_plus(a: np.ndarray) -> np.ndarray:
    """``1 / (1 + a)`` for a in [0, 1), 0 integer bits, by three Newton steps of 1 / half."""
    half = (a + INT32_MAX + 1) >> 1
    x = 1515870810 + high_multiply(half, -1010580540)  # 48/17 - 32/17 half, 2 integer bits
    for _ in range(3):
        step = high_multiply(x, (1 << 29) - high_multiply(half, x))
        x = x + np.clip(step << 2, INT32_MIN, INT32_MAX)
    return np.clip(x << 1, INT32_MIN, INT32_MAX)


OPERATORS = {
    "Conv2D": _weighted,
    "FullyConnected": _weighted,
    "AveragePool": _average_pool,
    "MaxPool": _max_pool,
    "Add": _add,
    "Table": _table,
    "Pad": _pad,
    "Concat": _concat,
    "Slice": _slice,
    "Permute": _permute,
    "Softmax": _softmax,
}
