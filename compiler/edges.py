"""The host's part of an inference: arrays as the model's file has them, to and from codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from weft.compiler.calibration_data import check_array
from weft.compiler.fixed_point import round_half_away
from weft.compiler.network import Network, Port, Softmax, Tensor
from weft.compiler.program import Program
from weft.compiler.softmax import softmax
from weft.errors import InputError

__all__ = [
    "decode_outputs",
    "dequantize_output",
    "encode_inputs",
    "in_memory",
    "quantize_input",
    "run_model",
    "softmax",
]


def quantize_input(port: Port, tensor: Tensor, array: np.ndarray) -> np.ndarray:
    """Codes (N, H, W, C) of an input array (N, *the file's shape).

    A float32 division, rounding half away from zero, the zero point, saturation.

    Raises
    ------
    InputError
        If the array's shape, dtype or values do not fit the port.
    """
    array = check_array(
        np.asarray(array),
        port.shape,
        port.dtype,
        f"input {port.name!r}",
        meaning=(tensor.scale, tensor.zero_point),
    )
    if port.dtype != "int8":
        with np.errstate(over="ignore"):  # beyond float32 is beyond int8 as well
            quotient = array / np.float32(tensor.scale)
        codes = round_half_away(quotient) + tensor.zero_point
        array = np.clip(codes, -128, 127).astype(np.int8)
    return in_memory(port, tensor, array)


def in_memory(port: Port, tensor: Tensor, array: np.ndarray) -> np.ndarray:
    """An array as the file has it, (N, *the file's shape), in the tensor's order, (N, H, W, C)."""
    flat = array.reshape(len(array), -1)
    if port.order is not None:
        ordered = np.empty_like(flat)
        ordered[:, port.order] = flat
        flat = ordered
    return flat.reshape(len(array), *tensor.shape)


def dequantize_output(port: Port, tensor: Tensor, codes: np.ndarray) -> np.ndarray:
    """Output array (N, *the file's shape) of codes (N, H, W, C)."""
    flat = np.asarray(codes, np.int8).reshape(len(codes), -1)
    if port.order is not None:
        flat = flat[:, port.order]
    shaped = flat.reshape(len(codes), *port.shape)
    if port.dtype == "int8":
        return shaped
    return (shaped.astype(np.float32) - np.float32(tensor.zero_point)) * np.float32(tensor.scale)


def encode_inputs(network: Network, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Codes by tensor name of all inputs, from arrays by the file's names."""
    missing = [port.name for port in network.inputs if port.name not in arrays]
    if missing:
        raise InputError(f"no array for input {missing[0]!r}; give one for every input")
    codes = {
        port.tensor: quantize_input(port, network.tensors[port.tensor], arrays[port.name])
        for port in network.inputs
    }
    if len({len(array) for array in codes.values()}) > 1:
        raise InputError(
            "the inputs have different numbers of samples; give every input the same number"
        )
    return codes


def decode_outputs(network: Network, codes: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays by the file's names of all outputs, from codes by tensor name.

    Where an output comes out of a Softmax, the codes of its input are used and the
    softmax is computed here.
    """
    made_by = {node.output: node for node in network.nodes}
    result = {}
    for port in network.outputs:
        node = made_by.get(port.tensor)
        if isinstance(node, Softmax) and node.inputs[0] in codes:
            logits = node.inputs[0]
            values = softmax(codes[logits], network.tensors[logits].scale, node.beta)
        else:
            values = codes[port.tensor]
        result[port.name] = dequantize_output(port, network.tensors[port.tensor], values)
    return result


def run_model(
    program: Program,
    engine_run: Callable[[Program, Mapping[str, np.ndarray]], Any],
    arrays: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Run a program on file arrays with any engine: edges, engine, edges.

    Parameters
    ----------
    program : Program
    engine_run : callable
        An engine's ``run``.
    arrays : mapping of input name to array (N, *the file's shape)
    """
    result = engine_run(program, encode_inputs(program.network, arrays))
    return decode_outputs(program.network, result.outputs)
