"""The integer graph as plain JSON data and arrays, for the program's folder.

Only dataclasses named in this file are ever made from a file: nothing in it can run code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from weft.compiler import network as graph

_CLASSES = {
    cls.__name__: cls
    for cls in (
        graph.Add, graph.AveragePool, graph.Concat, graph.Conv2D, graph.FullyConnected,
        graph.MaxPool, graph.Mean, graph.Mul, graph.Network, graph.Pad, graph.Permute,
        graph.Port, graph.Requantize, graph.Rescale, graph.Scaling, graph.Slice, graph.Softmax,
        graph.Table, graph.Tensor,
    )
}  # fmt: skip


def to_plain(network: graph.Network) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """JSON data, in which arrays are references, and the arrays by reference."""
    arrays: dict[str, np.ndarray] = {}

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            name = f"array{len(arrays)}"
            arrays[name] = value
            return {"array": name}
        if is_dataclass(value) and not isinstance(value, type):
            content = {f.name: plain(getattr(value, f.name)) for f in fields(value)}
            return {"class": type(value).__name__, "fields": content}
        if isinstance(value, (list, tuple)):
            kind = "tuple" if isinstance(value, tuple) else "list"
            return {kind: [plain(item) for item in value]}
        if isinstance(value, Mapping):
            return {"map": [[key, plain(item)] for key, item in value.items()]}
        if isinstance(value, np.generic):
            return value.item()
        return value

    return plain(network), arrays


def from_plain(data: Any, arrays: Mapping[str, np.ndarray]) -> graph.Network:
    """The network that `to_plain` took apart.

    Raises
    ------
    ValueError
        If the data are not such.
    """

    def value(item: Any) -> Any:
        if not isinstance(item, dict):
            return item
        if "array" in item:
            return arrays[item["array"]]
        if "tuple" in item:
            return tuple(value(part) for part in item["tuple"])
        if "list" in item:
            return [value(part) for part in item["list"]]
        if "map" in item:
            return {key: value(part) for key, part in item["map"]}
        cls = _CLASSES[item["class"]]
        return cls(**{name: value(part) for name, part in item["fields"].items()})

    try:
        result = value(data)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not an integer graph: {error}") from error
    if not isinstance(result, graph.Network):
        raise ValueError("not an integer graph")
    return result
