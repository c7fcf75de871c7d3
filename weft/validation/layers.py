"""Which layer hurts: every layer's own error, and what the outputs lose by it alone.

The errors of a tensor with everything before it grow through a network whoever made them. So
each layer is also looked at alone. It gets the float model's tensors, rounded to their types,
once in integers and once in the float model: the difference is its own error, of weights, bias
and output type. Added to the tensor in a float model that is exact otherwise, it shows what this
layer costs at the outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from weft.compiler.calibration_samples import Batch
from weft.compiler.collect_range import RangeCollector
from weft.compiler.edges import in_memory, quantize_input
from weft.compiler.fixed_point import FixedType, fraction_bits, largest_fraction
from weft.compiler.float_override import OverridingRunner
from weft.compiler.network import Conv2D, FullyConnected, Network, Port
from weft.models import FloatModel
from weft.sim import golden
from weft.validation.result import Culprit, LayerError, decibels
from weft.validation.sums import ErrorSums, real_values
from weft.validation.tensors import Matching, check_finite

#: What helps where codes are spread over the calibrated range already.
REPRESENT = "calibrate with samples like these"


@dataclass(frozen=True, eq=False)
class OwnError:
    """A layer's own error.

    Parameters
    ----------
    sqnr, output_sqnr : float
        In dB, of its output, and of the model's outputs where it alone is quantised.
    output_noise : float
        That noise, as a share of the outputs' signal.
    cause : "weights" or "type"
    """

    sqnr: float
    output_sqnr: float
    output_noise: float
    cause: Literal["weights", "type"]


def own_errors(
    real: FloatModel,
    network: Network,
    matching: Matching,
    *,
    inputs: Batch,
    tensors: Mapping[str, np.ndarray],
    model: Path,
) -> dict[str, OwnError]:
    """The own error of every tensor that both models have, by its name in the quantised one.

    Parameters
    ----------
    inputs : mapping of input name to float32 array (N, *the model's shape)
    tensors : mapping of tensor name to array
        What the float model makes of them, by the names in its file.
    """
    ports = matching.ports
    outputs = [ports[name].name for name in matching.outputs]
    runner = OverridingRunner(real.graph, [port.name for port in ports.values()], outputs)
    exact = {name: tensors[port.name] for name, port in ports.items()}
    codes = {name: encode(network, port, exact[name]) for name, port in ports.items()}
    rounded = {
        port.name: _in_file(port, real_values(codes[name], network.tensors[name]))
        for name, port in ports.items()
    }
    baseline = runner.outputs(inputs, {})
    computed = runner.computed(inputs, rounded)
    check_finite(computed, model)
    result = {}
    for name, made in _integers(network, codes).items():
        port = ports[name]
        error = _in_file(port, real_values(made, network.tensors[name])) - computed[port.name]
        found = runner.outputs(inputs, {port.name: exact[name] + error})
        noise = float(np.mean([_relative(baseline[output], found[output]) for output in outputs]))
        own = ErrorSums()
        own.update(exact[name], exact[name] - error)
        result[name] = OwnError(
            own.sqnr, decibels(1.0, noise), noise,
            _cause(network, port, computed[port.name], error),
        )  # fmt: skip
    return result


def encode(network: Network, port: Port, values: np.ndarray) -> np.ndarray:
    """Codes (N, H, W, C) of a tensor's real values as the float model's file has them."""
    return quantize_input(port, network.tensors[port.tensor], values)


def _in_file(port: Port, values: np.ndarray) -> np.ndarray:
    """An array in memory's order, (N, H, W, C), in that of the float model's file, float32."""
    flat = values.reshape(len(values), -1)
    flat = flat if port.order is None else flat[:, port.order]
    return flat.reshape(len(values), *port.shape).astype(np.float32)


def _integers(network: Network, codes: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What every node makes of the given codes, of the tensors that have some.

    A tensor without codes of its own is computed from those before it.
    """
    samples = len(next(iter(codes.values())))
    values = dict(codes)
    for name, constant in network.constants.items():
        values[name] = np.broadcast_to(constant, (samples, *constant.shape))
    made = {port.tensor: codes[port.tensor] for port in network.inputs}
    for node in network.nodes:
        output = golden.run_node(network, node, values)
        if node.output in codes:
            made[node.output] = output
        else:
            values[node.output] = output
    return made


def _relative(exact: np.ndarray, found: np.ndarray) -> float:
    """Noise as a share of the signal; of all the noise where there is none."""
    noise = float(np.square(exact.astype(np.float64) - found).sum())
    signal = float(np.square(exact.astype(np.float64)).sum())
    return noise / signal if signal else float(noise > 0)


def _cause(
    network: Network, port: Port, computed: np.ndarray, error: np.ndarray
) -> Literal["weights", "type"]:
    """Whether an exact result, rounded to the output's type, would have most of the error too."""
    tensor = network.tensors[port.tensor]
    held = real_values(encode(network, port, computed), tensor)
    rounding = float(np.square(in_memory(port, tensor, computed) - held).sum())
    return "type" if 2 * rounding >= float(np.square(error).sum()) else "weights"


def culprit(
    network: Network,
    layers: Sequence[LayerError],
    own: Mapping[str, OwnError],
    seen: Mapping[str, RangeCollector],
    calibrator: str | None = None,
) -> Culprit | None:
    """The layer that hurts most, and what may help.

    Parameters
    ----------
    seen : mapping of tensor name to RangeCollector
        Values of calibration and validation together.
    calibrator : str, optional
        That chose the types, where the file says so.
    """
    worst = max(layers, key=lambda layer: layer.share, default=None)
    if worst is None or not worst.share:
        return None
    if own[worst.tensor].cause == "weights" and worst.op != "Softmax":
        return Culprit(worst, "weights", _weights_remedy(network, worst))
    return Culprit(worst, "type", _type_remedy(network, worst, seen[worst.tensor], calibrator))


def _weights_remedy(network: Network, layer: LayerError) -> str:
    node = next((node for node in network.nodes if node.name == layer.node), None)
    if not isinstance(node, Conv2D | FullyConnected):
        shifts = fraction_bits(network.tensors[layer.tensor].scale) is not None
        remedy = "quantise with --scales multiplier" if shifts else REPRESENT
        return f"The error is of its inputs' types: {remedy}."
    shift = node.requantize.shift
    if node.requantize.multiplier is None and (shift == shift.flat[0]).all():
        return "The error is of its weights: quantise with --per-channel, which costs no hardware."
    return "The error is of its weights: quantise with --repair all, or train with quantisation."


def _type_remedy(
    network: Network, layer: LayerError, seen: RangeCollector, calibrator: str | None
) -> str:
    tensor = network.tensors[layer.tensor]
    fraction = fraction_bits(tensor.scale)
    if layer.op == "Softmax":
        return "The error is of its output's type, which every Softmax has."
    if fraction is None:
        return f"The error is of its output's type: {REPRESENT}."
    better = largest_fraction(seen.low, seen.high)
    if better != fraction and not tensor.zero_point:
        kind, now = FixedType(better).q, FixedType(fraction).q
        return (
            f"Its output has the type {now}, and {kind} fits its values: quantise with --type "
            f"{layer.float_tensor}={kind}."
        )
    if seen.low >= 0 and not tensor.zero_point:
        return (
            "The error is of its output's type, half of which is for negative values that there "
            "are not: quantise with --zero-points."
        )
    other = "" if calibrator == "mse" else "--calibrator mse, or "
    return f"The error is of its output's type: quantise with {other}--scales multiplier."
