"""Attributes of a node: every one is known by name and type, or is a problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
from onnx import AttributeProto

#: The Python type of a default stands for the type of the attribute.
_KINDS = {
    int: AttributeProto.INT,
    float: AttributeProto.FLOAT,
    str: AttributeProto.STRING,
    tuple: AttributeProto.INTS,
    type(None): AttributeProto.TENSOR,
}


def read_attributes(
    node: onnx.NodeProto, known: Mapping[str, Any], legal: frozenset[str]
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Values of all known attributes, defaults where the file has none.

    Parameters
    ----------
    node : onnx.NodeProto
    known : mapping of name to default
        What the reader of this operator implements. The default's type (int, float, str,
        tuple of int, or None for a tensor) is the attribute's.
    legal : set of str
        What the operator has at all in the file's opset.

    Returns
    -------
    values : dict
    complaints : list of (reason, remedy)
        One for each attribute that cannot be taken as it is.
    """
    values = dict(known)
    complaints = []
    seen = set()
    for attribute in node.attribute:
        name = attribute.name
        if name in seen:
            complaints.append((f"attribute {name} is given twice", "remove one of the two"))
        elif name not in legal:
            complaints.append((f"attribute {name} is not known to this opset", "remove it"))
        elif name not in known:
            complaints.append(
                (f"attribute {name} is not implemented", "export the node without it")
            )
        elif attribute.ref_attr_name or attribute.type != _KINDS[type(known[name])]:
            complaints.append((f"attribute {name} is not of its type", "export the model again"))
        else:
            values[name] = _value(attribute)
        seen.add(name)
    return values, complaints


def _value(attribute: AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.type == AttributeProto.STRING:
        return value.decode("utf-8", "replace")
    if attribute.type == AttributeProto.INTS:
        return tuple(value)
    return value
