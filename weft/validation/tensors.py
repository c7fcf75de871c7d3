"""Tensors that a float model and a quantised one both have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from weft.commands.references import activations
from weft.compiler.calibrate import kept_tensors
from weft.compiler.float_graph import FloatGraph
from weft.compiler.float_run import tensors_of
from weft.compiler.network import Network, Port
from weft.compiler.quantize_ports import make_ports
from weft.errors import InputError, RefusedError
from weft.models import FloatModel

#: What tools put behind the name of a tensor that they quantise.
SUFFIXES = (
    "_DequantizeLinear_Output", "_QuantizeLinear_Output", "_QuantizeLinear_Input", "_dequantized",
    "_quantized",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Matching:
    """Which tensors of two models are the same.

    Parameters
    ----------
    ports : mapping of tensor name in the quantised model to Port
        How the float model's file has it: its name and layout there, float32.
    outputs : list of str
        Tensors of the quantised model at its outputs, in the order of the float model's.
    unmatched : tuple of str
        Tensors of the quantised model that the float model's file has none for.
    """

    ports: Mapping[str, Port]
    outputs: list[str]
    unmatched: tuple[str, ...]


def match(real: FloatModel, network: Network, model: Path, quantised: Path) -> Matching:
    """Match inputs and outputs, which all must be there, and the tensors in between by name.

    Raises
    ------
    RefusedError
        If inputs or outputs differ.
    """
    both: dict[str, Any] = {
        "real": real, "network": network, "files": (str(model), str(quantised)),
    }  # fmt: skip
    inputs, outputs = make_ports(real.graph)
    ends = [
        *_same_ports("input", inputs, network.inputs, **both),
        *_same_ports("output", outputs, network.outputs, **both),
    ]
    ports = {port.tensor: port for port in ends}
    known = tensors_of(real.runs)
    clamps = _folded_clamps(real.graph, network)
    for name, tensor in network.tensors.items():
        if name in ports or name in network.constants:
            continue
        for found in _names(network, name):
            candidate = clamps.get(found, found)
            there = real.graph.tensors.get(candidate) if candidate in known else None
            if there is not None and there.shape == tensor.shape:
                shape = tuple(there.file_shape[1:])
                ports[name] = Port(candidate, name, shape, "float32", there.order)
                break
    order = [name for name in network.tensors if name not in network.constants]
    return Matching(
        {name: ports[name] for name in order if name in ports},
        [port.tensor for port in ends[len(inputs) :]],
        tuple(name for name in order if name not in ports),
    )


def _folded_clamps(graph: FloatGraph, network: Network) -> dict[str, str]:
    """What the float model makes of a tensor by clamps that the quantised one leaves to its codes.

    ONNX Runtime drops a Relu where the codes before it cannot be negative anyway.
    """
    kept = set(kept_tensors(graph))
    there = {known for name in network.tensors for known in _names(network, name)}
    behind: dict[str, str] = {}
    for node in reversed(graph.nodes):
        given = node.inputs[0]
        if node.op == "Clamp" and given not in kept and node.output not in there:
            behind[given] = behind.get(node.output, node.output)
    return behind


def _names(network: Network, name: str) -> Iterable[str]:
    """What the float model may call a tensor."""
    shown = [port.name for port in activations(network) if port.tensor == name]
    for known in (name, *shown):
        yield known
        for suffix in SUFFIXES:
            if known.endswith(suffix):
                yield known.removesuffix(suffix)


def _same_ports(
    kind: str,
    ports: list[Port],
    others: list[Port],
    *,
    real: FloatModel,
    network: Network,
    files: tuple[str, str],
) -> list[Port]:
    """Ports of the float model with the quantised model's tensors."""
    theirs = {port.name: port for port in others}
    names = [port.name for port in ports]
    if set(names) != set(theirs):
        if len(names) != 1 or len(theirs) != 1:
            raise RefusedError(
                f"{files[0]} has {kind}s {_list(names)}, and {files[1]} {_list(theirs)}; give two "
                "models of the same network"
            )
        theirs = {names[0]: others[0]}
    return [
        _same_shape(kind, port, theirs[port.name], real=real, network=network, files=files)
        for port in ports
    ]


def _same_shape(
    kind: str,
    port: Port,
    other: Port,
    *,
    real: FloatModel,
    network: Network,
    files: tuple[str, str],
) -> Port:
    if _sides(port.shape) == _sides(other.shape):  # the files show it in the same order
        return replace(port, tensor=other.tensor, order=other.order, dtype="float32")
    if real.graph.tensors[port.tensor].shape == network.tensors[other.tensor].shape:
        return replace(port, tensor=other.tensor, dtype="float32")  # channels first, and last
    raise RefusedError(
        f"{kind} {port.name!r} has shape {_shape(port)} in {files[0]} and {_shape(other)} in "
        f"{files[1]}; give two models of the same network"
    )


def _sides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(side for side in shape if side != 1)


def _shape(port: Port) -> str:
    return " x ".join(str(side) for side in port.shape) or "of a single number"


def _list(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names) or "none"


def check_finite(tensors: Mapping[str, np.ndarray], model: Path) -> None:
    """Refuse samples on which the float model goes out of bounds."""
    for name, values in tensors.items():
        if not np.isfinite(values).all():
            raise InputError(
                f"{model}: tensor {name!r} becomes infinite or NaN on these samples; check that "
                "they are scaled as in training"
            )
