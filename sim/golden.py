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

#: Elements worked on at a time, so that large batches and images need little memory and
#: intermediate results stay in the processor's cache.
ELEMENTS = 1 << 20


@dataclass
class RunResult:
    """What an engine returns; `weft.sim.engine` shows it to the others.

    Parameters
    ----------
    outputs : dict of tensor name to int8 array, shape (N, H, W, C)
    cycles : list of int, one per sample, or None where the engine has no clock
    tensors : dict of tensor name to int8 array, or None where the engine shows none
    instruction_cycles : list for each sample of int for each instruction, or None where nobody
        asked for them or the engine has no clock
    """

    outputs: dict[str, np.ndarray]
    cycles: list[int] | None = None
    tensors: dict[str, np.ndarray] | None = None
    instruction_cycles: list[list[int]] | None = None


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
        Return every tensor but the constants, not only those that `shown` names.

    Returns
    -------
    dict of tensor name to int8 array, shape (N, H, W, C), in execution order

    Raises
    ------
    OverflowError
        If an accumulator does not fit int32.
    ValueError
        If an input or a constant is missing or unfit, or a node does not agree with its tensors.
    """
    values = _checked_inputs(network, inputs)
    samples = len(next(iter(values.values()), [0]))
    wanted = set(network.tensors if keep else shown(network)) - set(network.constants)
    for name, constant in network.constants.items():
        values[name] = _repeated(network, name, constant, samples)
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
    xs, shape = [values[name] for name in node.inputs], tuple(tensors[-1].shape)
    chunk = max(1, ELEMENTS // max(int(np.prod(tensor.shape)) for tensor in tensors))
    parts = [
        OPERATORS[kind](node, [x[start : start + chunk] for x in xs], tensors)
        for start in range(0, max(len(xs[0]), 1), chunk)
    ]
    result = parts[0] if len(parts) == 1 else np.concatenate(parts)
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


def _repeated(network: Any, name: str, constant: np.ndarray, samples: int) -> np.ndarray:
    shape = tuple(network.tensors[name].shape)
    if constant.dtype != np.int8 or constant.shape != shape:
        raise ValueError(
            f"constant {name!r} must be int8 of shape {shape}, "
            f"not {constant.dtype} of {constant.shape}"
        )
    return np.broadcast_to(constant, (samples, *shape))


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
    if acc.size and (acc.min() < INT32_MIN or acc.max() > INT32_MAX):
        index = tuple(int(i) for i in np.argwhere((acc < INT32_MIN) | (acc > INT32_MAX))[0])
        raise OverflowError(
            f"{node.name!r}: accumulator {acc[index]} at {index[1:]} does not fit int32"
        )
    return acc


def _requantized(node: Any, acc: np.ndarray) -> np.ndarray:
    """Codes of a node's accumulators, which must fit int32."""
    rq, channels = node.requantize, acc.shape[-1]
    for numbers in (rq.shift, rq.multiplier):
        if numbers is not None and np.shape(numbers) not in ((1,), (channels,)):
            raise ValueError(
                f"{node.name!r}: requantize constants of shape {np.shape(numbers)} do not fit "
                f"{channels} channels"
            )
    return requantize(_fitting_int32(node, acc), rq)


# Operators ----------------------------------------------------------------------------
# Each takes (node, the inputs' values, the inputs' and the output's Tensor) and returns
# int8 (N, H, W, C).


def _padded(x: np.ndarray, padding: tuple[int, int, int, int], fill: int) -> np.ndarray:
    top, left, bottom, right = padding
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)


def _reach(node: Any, x: np.ndarray, kernel: Any, dilation: tuple[int, int]) -> tuple[int, int]:
    """Height and width that a window covers of a padded image."""
    height, width = ((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    if height > x.shape[1] or width > x.shape[2]:
        raise ValueError(f"{node.name!r}: a window of {(height, width)} exceeds the padded image")
    return height, width


def accumulate(node: Any, x: np.ndarray, zero_point: int = 0) -> np.ndarray:
    """Accumulators (int64) of a Conv2D or FullyConnected, bias included."""
    weights, kind = np.asarray(node.weights), type(node).__name__
    bias = np.asarray(node.bias, np.int64)
    # Products and partial sums, in any order, are integers no larger than `bound`, so a
    # float type that holds all integers up to it loses nothing, and BLAS is fast.
    farthest = max(127 - zero_point, 128 + zero_point)
    each = np.abs(weights.reshape(len(weights), -1).astype(np.int64)).sum(axis=1)
    bound = farthest * int(each.max(initial=0))
    exact = np.dtype(np.float32 if bound < 2**24 else np.float64)
    if bound >= 2**53:
        raise OverflowError(f"{node.name!r}: sums up to {bound} do not fit int32")
    centred = x.astype(exact)
    centred -= zero_point
    weights = weights.astype(exact)
    if kind == "FullyConnected":
        features = centred.reshape(len(x), 1, 1, -1)
        if weights.shape[1] != features.shape[3]:
            raise ValueError(
                f"{node.name!r}: weights {weights.shape} do not fit the input {x.shape[1:]}"
            )
        return (features @ weights.T).astype(np.int64) + bias
    groups, depth = node.groups, weights.shape[3]
    if x.shape[3] != groups * depth or len(weights) % groups:
        raise ValueError(
            f"{node.name!r}: weights {weights.shape} in {groups} groups do not fit "
            f"{x.shape[3]} channels"
        )
    view = _windows(node, _padded(centred, node.padding, 0), weights.shape[1:3])
    if groups > 1 and depth == 1:
        return _channel_sums(view, weights, groups) + bias
    parts = zip(np.split(view, groups, axis=3), np.split(weights, groups), strict=True)
    return np.concatenate([_sums(*part) for part in parts], axis=3) + bias


def _windows(node: Any, x: np.ndarray, kernel: Any) -> np.ndarray:
    """View of (N, OH, OW, C, kh, kw): what each output position sees."""
    reach, (sy, sx), (dy, dx) = _reach(node, x, kernel, node.dilation), node.stride, node.dilation
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(1, 2))
    return view[:, ::sy, ::sx, :, ::dy, ::dx]


def _rows(view: np.ndarray, elements: int) -> list[slice]:
    """Cut the rows of an output into parts of about `ELEMENTS`, at so many `elements` each."""
    step = max(1, ELEMENTS // max(elements, 1))
    return [slice(start, start + step) for start in range(0, view.shape[1], step)]


def _sums(view: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sums (int64) over windows, all channels in each: one matrix product for some rows."""
    n, height, width, channels, kh, kw = view.shape
    result = np.empty((n, height, width, len(weights)), np.int64)
    matrix = weights.reshape(len(weights), -1).T
    for rows in _rows(view, n * width * channels * kh * kw):
        # Kernel columns and channels lie side by side in the image as well: cheap to copy.
        columns = view[:, rows].transpose(0, 1, 2, 4, 5, 3).reshape(-1, kh * kw * channels)
        result[:, rows] = (columns @ matrix).reshape(n, -1, width, len(weights))
    return result


def _channel_sums(view: np.ndarray, weights: np.ndarray, groups: int) -> np.ndarray:
    """Sums (int64) over windows, each channel by itself: one product for each kernel tap."""
    n, height, width, channels, kh, kw = view.shape
    result = np.empty((n, height, width, channels, len(weights) // groups), np.int64)
    taps = weights.reshape(groups, -1, kh, kw)
    for rows in _rows(view, n * width * len(weights)):
        total = np.zeros(result[:, rows].shape, weights.dtype)
        for ky, kx in np.ndindex(kh, kw):
            total += view[:, rows, :, :, ky, kx, None] * taps[:, :, ky, kx]
        result[:, rows] = total
    return result.reshape(n, height, width, -1)


def _weighted(node: Any, xs: list[np.ndarray], tensors: list[Any]) -> np.ndarray:
    return _requantized(node, accumulate(node, xs[0], tensors[0].zero_point))


def _folded(
    node: Any, x: np.ndarray, fill: int, combine: Any, dilation: tuple[int, int] = (1, 1)
) -> np.ndarray:
    """Combine (`np.add`, `np.maximum`) all of each window: its rows, then its columns."""
    x = _padded(x, node.padding, fill)
    reaches = _reach(node, x, node.kernel, dilation)
    for axis, reach in enumerate(reaches):
        stride, last = node.stride[axis], x.shape[axis + 1] - reach
        around = (slice(None),) * (axis + 1)
        result = x[(*around, slice(0, last + 1, stride))].copy()
        for start in range(dilation[axis], reach, dilation[axis]):
            combine(result, x[(*around, slice(start, start + last + 1, stride))], out=result)
        x = result
    return x


def _inside(node: Any, x: np.ndarray, dilation: tuple[int, int] = (1, 1)) -> np.ndarray:
    """Elements of each window that lie inside the image, shape (1, OH, OW, 1)."""
    counts = _folded(node, np.ones((1, *x.shape[1:3], 1), np.int64), 0, np.add, dilation)
    if not counts.all():
        raise ValueError(f"{node.name!r}: a window lies entirely in the padding")
    return counts


def _average_pool(node: Any, xs: list[np.ndarray], tensors: list[Any]) -> np.ndarray:
    fill = tensors[0].zero_point if node.count_include_pad else 0
    total = _folded(node, xs[0].astype(np.int64), fill, np.add)
    size = node.kernel[0] * node.kernel[1]
    count = np.int64(size) if node.count_include_pad else _inside(node, xs[0])
    if abs(node.left) > 31:
        raise ValueError(f"{node.name!r}: left must be from -31 to 31, not {node.left}")
    total = _fitting_int32(node, total) << max(node.left, 0)
    return clamp(divide(total, count << max(-node.left, 0)), node.low, node.high)


def _max_pool(node: Any, xs: list[np.ndarray], tensors: list[Any]) -> np.ndarray:
    _inside(node, xs[0], node.dilation)
    # No code is below -128, so padding never wins.
    return clamp(_folded(node, xs[0], -128, np.maximum, node.dilation), node.low, node.high)


def _operands(node: Any, xs: list[np.ndarray], tensors: list[Any]) -> list[np.ndarray]:
    """Operands less their zero points, int64; NumPy repeats their sides of 1."""
    *sources, target = tensors
    for source in sources:
        sides = zip(source.shape, target.shape, strict=True)
        if any(side not in (1, whole) for side, whole in sides):
            raise ValueError(
                f"{node.name!r}: operand {source.name!r} of shape {tuple(source.shape)} "
                f"cannot be repeated to {tuple(target.shape)}"
            )
    return [x.astype(np.int64) - t.zero_point for x, t in zip(xs, sources, strict=True)]


def _add(node: Any, xs: list[np.ndarray], tensors: list[Any]) -> np.ndarray:
    if not all(0 <= left <= 31 for left in node.left):
        raise ValueError(f"{node.name!r}: left must be from 0 to 31, not {node.left}")
    operands = _operands(node, xs, tensors)
    parts = [x << left for x, left in zip(operands, node.left, strict=True)]
    if node.scalings is not None:
        pairs = zip(parts, node.scalings, strict=True)
        parts = [scale_accumulator(_fitting_int32(node, part), scaling) for part, scaling in pairs]
    a, b = (sign * part for sign, part in zip(node.signs, parts, strict=True))
    return _requantized(node, a + b)


def _mul(node: Any, xs: list[np.ndarray], tensors: list[Any]) -> np.ndarray:
    a, b = _operands(node, xs, tensors)
    return _requantized(node, a * b)


def _mean(node: Any, xs: list[np.ndarray], tensors: list[Any]) -> np.ndarray:
    axes = tuple(axis + 1 for axis in node.axes)
    centred = xs[0].astype(np.int64) - tensors[0].zero_point
    return _requantized(node, centred.sum(axis=axes, keepdims=True))


def _rescale(node: Any, xs: list[np.ndarray], tensors: list[Any]) -> np.ndarray:
    return _requantized(node, xs[0].astype(np.int64) - tensors[0].zero_point)


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
    return softmax(xs[0], tensors[0].scale * node.beta)


# Softmax, in gemmlowp's fixed point: a raw int32 with k integer bits is raw / 2**(31 - k) -


def softmax(x: np.ndarray, scale: float) -> np.ndarray:
    """TFLite's integer SOFTMAX over the last axis; `scale` times beta; out: 1/256, zero -128."""
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
    "Mul": _mul,
    "Mean": _mean,
    "Rescale": _rescale,
    "Table": _table,
    "Pad": _pad,
    "Concat": _concat,
    "Slice": _slice,
    "Permute": _permute,
    "Softmax": _softmax,
}
