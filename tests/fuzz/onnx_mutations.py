"""Seeded changes of what an ONNX file says; the file stays a protobuf message.

A message's fields are found by protobuf's own description of them, so that a reader gets past
the bytes: to shapes that disagree, nodes in another order, attributes out of range, names twice.
"""

from __future__ import annotations

import random
from typing import Any

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

_INTEGERS = (
    0, 1, -1, 2, 3, 4, 5, 7, 8, 16, 127, 128, -128, 255, 1 << 16, (1 << 31) - 1, -(1 << 31),
    1 << 31, (1 << 63) - 1, -(1 << 63), 1 << 24, 4097,
)  # fmt: skip
_FLOATS = (0.0, -1.0, 0.5, 1.0, 2.0, 1e-10, 1e30, 3e38, float("inf"), float("nan"), -0.0, 1e-45)
_TEXTS = ("", "x0", "../x", "/etc/passwd", "NOTSET", "SAME_UPPER", "N", "<b>", "a\nb", "é" * 3)

#: Operators that a node may turn into.
_OPS = (
    "Conv", "Gemm", "MatMul", "Add", "Sub", "Mul", "Div", "Relu", "Clip", "MaxPool", "AveragePool",
    "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Concat", "Slice", "Split", "Pad",
    "QuantizeLinear", "DequantizeLinear", "Shape", "Gather", "Expand", "Tile", "Range", "Where",
    "ConstantOfShape", "Cast", "ReduceMean", "ReduceSum", "Softmax", "Identity", "Pow", "Max",
    "BatchNormalization", "QLinearConv", "QLinearMatMul", "MatMulInteger", "GlobalAveragePool",
)  # fmt: skip

_F = FieldDescriptor

#: A message, one of its fields, and an index where that is a list.
_Site = tuple[Message, FieldDescriptor, int]


def mutate_onnx(data: bytes, rng: random.Random, others: list[onnx.ModelProto]) -> bytes:
    """The file after one to three changes; as it is where it cannot be parsed.

    Parameters
    ----------
    data : bytes
    rng : Random
    others : list of ModelProto
        Models to take nodes and tensors from.
    """
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        return data
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        change = rng.random()
        try:
            if change < 0.12 and others:
                _graft(model.graph, rng.choice(others).graph, rng)
            elif change < 0.3:
                _rewire(model.graph, rng)
            else:
                _change_field(model, rng)
        except (ValueError, TypeError, OverflowError):  # a value that the field cannot have
            continue
    return model.SerializeToString()


def _sites(message: Message, sites: list[_Site]) -> None:
    for field, value in message.ListFields():
        if field.is_repeated if hasattr(field, "is_repeated") else field.label == 3:
            if field.type == _F.TYPE_MESSAGE:
                for index, part in enumerate(value):
                    sites.append((message, field, index))
                    _sites(part, sites)
            else:
                sites += [(message, field, index) for index in range(min(len(value), 8))]
        else:
            sites.append((message, field, -1))
            if field.type == _F.TYPE_MESSAGE:
                _sites(value, sites)


def _change_field(model: onnx.ModelProto, rng: random.Random) -> None:
    sites: list[_Site] = []
    _sites(model, sites)
    if not sites:
        return
    message, field, index = sites[rng.randrange(len(sites))]
    if rng.random() < 0.06:
        message.ClearField(field.name)
    elif index >= 0:
        _change_list(getattr(message, field.name), field, index, rng)
    elif field.type == _F.TYPE_MESSAGE:
        getattr(message, field.name).Clear()
    else:
        value = _changed(getattr(message, field.name), field, rng)
        setattr(message, field.name, value)


def _change_list(items: Any, field: FieldDescriptor, index: int, rng: random.Random) -> None:
    edit = rng.random()
    if edit < 0.12:
        del items[index]
    elif field.type == _F.TYPE_MESSAGE:
        other = items[rng.randrange(len(items))]
        if edit < 0.5:
            items.add().CopyFrom(items[index])
        else:
            kept = type(other)()
            kept.CopyFrom(other)
            items[index].CopyFrom(kept)
    elif edit < 0.25:
        items.append(items[index])
    else:
        items[index] = _changed(items[index], field, rng)


def _changed(value: Any, field: FieldDescriptor, rng: random.Random) -> Any:
    if isinstance(value, bool | int):
        near = rng.random() < 0.6
        return value + rng.randint(-3, 3) if near else rng.choice(_INTEGERS)
    if isinstance(value, float):
        return rng.choice((value * 2, -value, *_FLOATS))
    if isinstance(value, bytes):
        return _bytes(value, rng)
    if field.name == "op_type":
        return rng.choice(_OPS)
    return rng.choice(_TEXTS)


def _bytes(value: bytes, rng: random.Random) -> bytes:
    if not value or rng.random() < 0.2:
        return value[: rng.randrange(len(value) + 1)] + bytes(rng.choice((0, 1, 4, 8)))
    changed = bytearray(value)
    for _ in range(rng.choice((1, 1, 4))):
        changed[rng.randrange(len(changed))] = rng.choice((0, 1, 2, 0x7F, 0x80, 0xFF, 5, 9))
    return bytes(changed)


def _rewire(graph: onnx.GraphProto, rng: random.Random) -> None:
    """Let a node read another tensor, or write one by another name."""
    nodes = [node for node in graph.node if node.input]
    names = [name for node in graph.node for name in (*node.input, *node.output)]
    if not nodes or not names:
        return
    node = rng.choice(nodes)
    side = node.output if rng.random() < 0.2 and node.output else node.input
    edit = rng.random()
    if edit < 0.15:
        side.append(rng.choice(names))
    elif edit < 0.25:
        del side[-1]
    else:
        side[rng.randrange(len(side))] = rng.choice(names)


def _graft(graph: onnx.GraphProto, other: onnx.GraphProto, rng: random.Random) -> None:
    """Put a node of another model between two tensors of this one, with its constants."""
    names = [name for each in graph.node for name in (*each.input, *each.output)]
    if not other.node or not names:
        return
    node = onnx.NodeProto()
    node.CopyFrom(rng.choice(other.node))
    constants = {tensor.name: tensor for tensor in other.initializer}
    there = {tensor.name for tensor in graph.initializer}
    for index, name in enumerate(node.input):
        if name in constants and f"g{name}" not in there:
            tensor = graph.initializer.add()
            tensor.CopyFrom(constants[name])
            tensor.name = f"g{name}"
        node.input[index] = f"g{name}" if name in constants else rng.choice(names)
    at = rng.randrange(len(graph.node))
    before = graph.node[at]
    if before.input and node.output:
        node.output[0] = f"g{len(graph.node)}"
        before.input[rng.randrange(len(before.input))] = node.output[0]
    rest = list(graph.node)[at:]
    del graph.node[at:]
    graph.node.append(node)
    graph.node.extend(rest)
