"""Operators that move elements: Pad, Concat, Slice, Split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weft.compiler.onnx_layout import (
    Roles,
    Shape3,
    find_roles,
    image_shape,
    is_image,
    lift,
    lift_axis,
    normal_axis,
)
from weft.compiler.onnx_operators import Call, operator
from weft.compiler.onnx_values import NodeError, Value, View


@dataclass(frozen=True)
class Cut:
    """start:stop:step of one axis."""

    start: int
    stop: int
    step: int = 1

    def __len__(self) -> int:
        return len(range(self.start, self.stop, self.step))


def _add_slice(call: Call, name: str, memory: str, output: str, cuts: list[Cut]) -> None:
    """Emit a Slice of memory (H, W, C)."""
    attributes = {
        "start": tuple(cut.start for cut in cuts),
        "stop": tuple(cut.stop for cut in cuts),
        "step": tuple(cut.step for cut in cuts),
    }
    call.build.add_node("Slice", name, (memory,), output, attributes)


def _sliced(call: Call, output: str, view: View, cuts: dict[int, Cut], name: str) -> Value:
    """A new tensor from cuts along axes of the file."""
    rank = len(view.shape)
    if all(cut == Cut(0, view.shape[axis]) for axis, cut in cuts.items()):
        return call.build.reviewed(output, view, view.order)
    order = lift(view.order)
    roles = find_roles(order, call.build.shape(view))
    lifted = {lift_axis(axis, rank): cut for axis, cut in cuts.items()}
    size = image_shape(order, roles)
    per_role = [lifted.get(axis, Cut(0, n)) for axis, n in zip(roles, size, strict=True)]
    memory = call.build.image(view, roles)
    h, w, c = (len(cut) for cut in per_role)
    made = call.build.image_view(output, (h, w, c), roles, rank)
    _add_slice(call, name, memory, output, per_role)
    return made


@operator("Slice")
def slice_(call: Call) -> Value:
    """Constant cuts with positive steps, clamped as the specification says."""
    view = call.view()
    rank = len(view.shape)
    starts, ends = call.integers(1, "starts") or [], call.integers(2, "ends") or []
    axes = call.integers(3, "axes")
    axes = list(range(len(starts))) if axes is None else axes
    steps = call.integers(4, "steps") or [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise NodeError("its starts, ends, axes and steps differ in length", "export it again")
    cuts = {}
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 1:
            raise NodeError(f"it steps by {step}", "use positive steps")
        place = axis + rank if axis < 0 else axis
        if place == 0:
            if range(view.shape[0])[start:end:step] != range(1):
                normal_axis(axis, rank)
            continue
        place = normal_axis(axis, rank)
        if place in cuts:
            raise NodeError(f"axis {axis} is given twice", "name each axis once")
        taken = range(view.shape[place])[start:end:step]
        if not taken:
            raise NodeError(f"nothing remains of axis {axis}", "correct its starts and ends")
        cuts[place] = Cut(taken.start, taken.stop, taken.step)
    return _sliced(call, call.output, view, cuts, call.name)


@operator("Split", axis=0, num_outputs=0)
def split(call: Call) -> list[Value]:
    """As slices, one for each output that something reads."""
    view = call.view()
    axis = normal_axis(call.attributes["axis"], len(view.shape))
    size, count = view.shape[axis], len(call.outputs)
    parts = call.integers(1, "split")
    if call.attributes["num_outputs"] not in (0, count):
        raise NodeError("num_outputs is not its number of outputs", "export the model again")
    if parts is None:
        each = -(-size // count)
        parts = [each] * (count - 1) + [size - each * (count - 1)]
    if len(parts) != count or sum(parts) != size or any(part < 1 for part in parts):
        raise NodeError(f"it splits {size} into {parts}", "export the model again")
    made: list[Value] = []
    start = 0
    for index, (output, part) in enumerate(zip(call.outputs, parts, strict=True)):
        if output:
            cut = {axis: Cut(start, start + part)}
            name = f"{call.name}/{index}"
            made.append(_sliced(call, output, view, cut, name))
        else:
            made.append(view)
        start += part
    return made


@operator("Concat", axis=0)
def concat(call: Call) -> Value:
    """Tensors one after another along an axis of one sample."""
    views = [call.view(index) for index in range(len(call.inputs))]
    rank = len(views[0].shape)
    axis = normal_axis(call.attributes["axis"], rank)
    rests = {view.shape[:axis] + view.shape[axis + 1 :] for view in views}
    if len(rests) != 1 or any(len(view.shape) != rank for view in views):
        shapes = ", ".join(str(list(view.shape)) for view in views)
        raise NodeError(f"it joins shapes {shapes} along axis {axis}", "export the model again")
    roles = _common_roles(call, views)
    memories = tuple(call.build.image(view, roles) for view in views)
    place = roles.index(lift_axis(axis, rank))
    sizes = [image_shape(lift(view.order), roles) for view in views]
    total = list(sizes[0])
    total[place] = sum(size[place] for size in sizes)
    shape: Shape3 = (total[0], total[1], total[2])
    made = call.build.image_view(call.output, shape, roles, rank)
    call.build.add_node("Concat", call.name, memories, call.output, {"axis": place})
    return made


def _common_roles(call: Call, views: list[View]) -> Roles:
    """The roles under which the most elements need no move."""
    orders = [lift(view.order) for view in views]
    shapes = [call.build.shape(view) for view in views]
    choices = [find_roles(order, shape) for order, shape in zip(orders, shapes, strict=True)]

    def still(roles: Roles) -> int:
        return sum(
            order.size
            for order, shape in zip(orders, shapes, strict=True)
            if is_image(order, shape, roles)
        )

    return max(choices, key=still)


@operator("Pad", mode="constant")
def pad(call: Call) -> Value:
    """Padding with a constant; negative pads are cut off."""
    view = call.view()
    rank = len(view.shape)
    if call.attributes["mode"] != "constant":
        raise NodeError(
            f"mode {call.attributes['mode']!r} is not implemented", "pad with a constant instead"
        )
    value = call.scalar(2, "padding value")
    value = 0.0 if value is None else value
    if not np.isfinite(value):
        raise NodeError("its padding value is NaN or infinite", "pad with a finite number")
    pads = _read_pads(call, rank)
    cuts = {
        axis: Cut(max(0, -before), view.shape[axis] - max(0, -after))
        for axis, (before, after) in pads.items()
    }
    if any(len(cut) < 1 for cut in cuts.values()):
        raise NodeError("its negative pads leave nothing", "correct its pads")
    grown = {axis: (max(0, b), max(0, a)) for axis, (b, a) in pads.items()}
    if not any(b or a for b, a in grown.values()):
        return _sliced(call, call.output, view, cuts, call.name)
    order = lift(view.order)
    roles = find_roles(order, call.build.shape(view))
    per_axis = {lift_axis(axis, rank): amount for axis, amount in grown.items()}
    amounts = tuple(per_axis.get(axis, (0, 0)) for axis in roles)
    memory, size = _cropped(call, view, cuts, roles)
    h, w, c = (n + b + a for n, (b, a) in zip(size, amounts, strict=True))
    made = call.build.image_view(call.output, (h, w, c), roles, rank)
    attributes = {"pads": amounts, "value": value}
    call.build.add_node("Pad", call.name, (memory,), call.output, attributes)
    return made


def _read_pads(call: Call, rank: int) -> dict[int, tuple[int, int]]:
    """(before, after) of each axis that is padded."""
    amounts, axes = call.integers(1, "pads") or [], call.integers(3, "axes")
    axes = list(range(rank)) if axes is None else axes
    if len(amounts) != 2 * len(axes):
        raise NodeError(f"it has {len(amounts)} pads for {len(axes)} axes", "correct its pads")
    pads = {}
    for index, axis in enumerate(axes):
        amount = (amounts[index], amounts[index + len(axes)])
        if amount != (0, 0):
            place = normal_axis(axis, rank)
            if place in pads:
                raise NodeError(f"axis {axis} is given twice", "name each axis once")
            pads[place] = amount
    return pads


def _cropped(call: Call, view: View, cuts: dict[int, Cut], roles: Roles) -> tuple[str, Shape3]:
    """Memory (H, W, C) of a view after negative pads, and its shape."""
    rank = len(view.shape)
    memory = call.build.image(view, roles)
    size = image_shape(lift(view.order), roles)
    lifted = {lift_axis(axis, rank): cut for axis, cut in cuts.items()}
    per_role = [lifted.get(axis, Cut(0, n)) for axis, n in zip(roles, size, strict=True)]
    if all(cut == Cut(0, n) for cut, n in zip(per_role, size, strict=True)):
        return memory, size
    h, w, c = (len(cut) for cut in per_role)
    name = call.build.new_tensor(f"{call.output}/cropped", (h, w, c))
    _add_slice(call, name, memory, name, per_role)
    return name, (h, w, c)
