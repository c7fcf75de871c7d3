"""SLICE, STRIDED_SLICE, SPLIT, SPLIT_V and UNPACK: parts of a tensor."""

from __future__ import annotations

import numpy as np

from weft.compiler.network import Slice
from weft.compiler.tflite_operators import Call, contents, folded, operator
from weft.compiler.tflite_views import Constant, NodeError, Value, View, image_shape

Range = tuple[int, int, int]


def part(call: Call, ranges: list[Range], shape: tuple[int, ...], index: int = 0) -> View:
    """An output made of a range (start, stop, step) of each axis of input `view`.

    `shape` is the output's, which may lack or have more dimensions of 1.
    """
    view = _computed(call)
    if all(bounds == (0, n, 1) for bounds, n in zip(ranges, view.shape, strict=True)):
        return call.look(view, shape, index)
    call.same_scale(view, index)
    sizes = tuple(len(range(*bounds)) for bounds in ranges)
    if 0 in sizes:
        raise NodeError("nothing is left of its input", "correct its bounds")
    extra = max(0, len(ranges) - 3)
    if any(n != 1 for n in view.shape[:extra]):
        image_shape(view.shape)  # says why
    start, stop, step = zip(*([(0, 1, 1)] * (3 - len(ranges)) + ranges[extra:]), strict=True)
    image = call.build.image(view)
    made = call.make(shape, image_shape(sizes), index)
    call.build.add_node(
        Slice(call.node_name(index), (image,), made.memory, start=start, stop=stop, step=step)
    )
    return made


def _computed(call: Call) -> View:
    return call.view(1 if call.op == "SPLIT" else 0)


@operator("SLICE")
def slice_(call: Call) -> View:
    """From `begin`, `size` elements, where -1 is all that remain."""
    shape = call.view().shape
    begin, size = call.integers(1, "begin"), call.integers(2, "size")
    if len(begin) != len(shape) or len(size) != len(shape):
        raise NodeError(
            f"its begin {begin} and size {size} do not fit rank {len(shape)}", "correct them"
        )
    ends = [n if s == -1 else b + s for n, b, s in zip(shape, begin, size, strict=True)]
    if any(not 0 <= b < e <= n for n, b, e in zip(shape, begin, ends, strict=True)):
        raise NodeError(
            f"its begin {begin} and size {size} leave shape {list(shape)}", "correct them"
        )
    ranges = [(b, e, 1) for b, e in zip(begin, ends, strict=True)]
    return part(call, ranges, tuple(e - b for b, e, _ in ranges))


@operator(
    "STRIDED_SLICE",
    options=("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask",
             "offset"),
)  # fmt: skip
def strided_slice(call: Call) -> Value:
    """With all of TensorFlow's masks; strides are positive."""
    if call.option("offset"):
        raise NodeError("its ends are offsets from its beginnings", "convert with plain ends")
    value = call.value(0)
    shape = value.tensor.shape if isinstance(value, Constant) else call.view().shape
    ranges, made = sliced(
        shape,
        call.integers(1, "begin"),
        call.integers(2, "end"),
        call.integers(3, "strides"),
        {name: call.option(name) for name in _MASKS},
    )
    if isinstance(value, Constant):
        return folded(call, contents(value.tensor)[tuple(slice(*r) for r in ranges)].reshape(made))
    return part(call, ranges, made)


_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


def sliced(
    shape: tuple[int, ...],
    begin: list[int],
    end: list[int],
    strides: list[int],
    masks: dict[str, int],
) -> tuple[list[Range], tuple[int, ...]]:
    """What STRIDED_SLICE takes of each axis of a shape, and the shape it makes.

    Bit i of a mask concerns entry i of the three lists: begin and end there are ignored, it
    stands for all axes that the others leave over (ellipsis), inserts an axis of 1, or
    takes one element of its axis and drops it (shrink).
    """
    if not len(begin) == len(end) == len(strides):
        raise NodeError("its begin, end and strides differ in length", "convert the model again")
    bits = {name: {i for i in range(len(begin)) if mask >> i & 1} for name, mask in masks.items()}
    dots, new = bits["ellipsis_mask"], bits["new_axis_mask"] - bits["ellipsis_mask"]
    if len(dots) > 1:
        raise NodeError("it has more than one ellipsis", "convert the model again")
    left_over = len(shape) - (len(begin) - len(dots) - len(new))
    if left_over < 0:
        raise NodeError(f"it has more ranges than axes of {list(shape)}", "convert the model again")
    ranges: list[Range] = []
    made: list[int] = []

    def take_all(count: int) -> None:
        for n in shape[len(ranges) : len(ranges) + count]:
            ranges.append((0, n, 1))
            made.append(n)

    for i, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        if i in dots:
            take_all(left_over)
        elif i in new:
            made.append(1)
        else:
            n = shape[len(ranges)]
            if step < 1:
                raise NodeError(f"its stride {step} is not positive", "use positive strides")
            if i in bits["shrink_axis_mask"]:
                ranges.append(_element(0 if i in bits["begin_mask"] else first, n))
                continue
            bounds = slice(
                None if i in bits["begin_mask"] else first,
                None if i in bits["end_mask"] else last,
                step,
            ).indices(n)
            ranges.append(bounds)
            made.append(len(range(*bounds)))
    take_all(len(shape) - len(ranges))
    return ranges, tuple(made)


def _element(index: int, size: int) -> Range:
    if not -size <= index < size:
        raise NodeError(f"it takes element {index} of {size}", "correct its begin")
    index += size if index < 0 else 0
    return index, index + 1, 1


@operator("SPLIT", options=("num_splits",))
def split(call: Call) -> list[View]:
    """Into parts of one size."""
    shape = call.view(1).shape
    count = call.option("num_splits")
    axis = _axis(call.integers(0, "axis"), shape)
    if count != len(call.outputs) or shape[axis] % count:
        raise NodeError(
            f"it splits {shape[axis]} elements into {count} for {len(call.outputs)} outputs",
            "convert the model again",
        )
    return _parts(call, axis, [shape[axis] // count] * count)


@operator("SPLIT_V", options=("num_splits",))
def split_v(call: Call) -> list[View]:
    """Into parts of given sizes, where one may be -1: what remains."""
    shape = call.view().shape
    axis = _axis(call.integers(2, "axis"), shape)
    sizes = call.integers(1, "sizes")
    if sizes.count(-1) == 1:
        rest = shape[axis] - sum(n for n in sizes if n != -1)
        sizes = [rest if n == -1 else n for n in sizes]
    if len(sizes) != len(call.outputs) or min(sizes) < 1 or sum(sizes) != shape[axis]:
        raise NodeError(
            f"its sizes {sizes} do not make up {shape[axis]}", "convert the model again"
        )
    return _parts(call, axis, sizes)


@operator("UNPACK", options=("num", "axis"))
def unpack(call: Call) -> list[View]:
    """Into single elements of an axis, which is dropped."""
    shape = call.view().shape
    axis = _axis([call.option("axis")], shape)
    if call.option("num") != shape[axis] or len(call.outputs) != shape[axis]:
        raise NodeError(f"it unpacks {call.option('num')} of {shape[axis]} elements",
                        "convert the model again")  # fmt: skip
    return _parts(call, axis, [1] * shape[axis], keep=False)


def _axis(axes: list[int], shape: tuple[int, ...]) -> int:
    if len(axes) != 1 or not -len(shape) <= axes[0] < len(shape):
        raise NodeError(f"its axis {axes} does not fit shape {list(shape)}", "correct the axis")
    return axes[0] % len(shape)


def _parts(call: Call, axis: int, sizes: list[int], keep: bool = True) -> list[View]:
    shape = _computed(call).shape
    ends = np.cumsum(sizes).tolist()
    views = []
    for index, (end, size) in enumerate(zip(ends, sizes, strict=True)):
        ranges: list[Range] = [(0, n, 1) for n in shape]
        ranges[axis] = (end - size, end, 1)
        made = (*shape[:axis], *((size,) if keep else ()), *shape[axis + 1 :])
        views.append(part(call, ranges, made, index))
    return views
