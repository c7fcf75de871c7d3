"""Tensors from somewhere else, by the model's own names, to compare golden with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from weft.compiler.calibration_data import read_arrays
from weft.compiler.edges import dequantize_output, in_memory
from weft.compiler.network import Network, Port
from weft.errors import InputError
from weft.sim.engine import Divergence, compare

#: The key of the only output's values.
OUTPUTS = "outputs"


@dataclass(frozen=True)
class Reference:
    """What a file of reference tensors holds for a network.

    Parameters
    ----------
    path : Path
    tensors : sequence of (port, array), the arrays of shape (samples, *the file's shape)
    unknown : tuple of str
        Keys that name nothing of the network.
    """

    path: Path
    tensors: Sequence[tuple[Port, np.ndarray]]
    unknown: tuple[str, ...]

    @property
    def samples(self) -> int:
        """The most samples that any tensor has."""
        return max(len(array) for _, array in self.tensors)


def activations(network: Network) -> list[Port]:
    """Every activation by the name its file has for it; the integer graph's own without them."""
    if network.activations:
        return network.activations
    return [
        Port(name, name, tensor.shape, "int8")
        for name, tensor in network.tensors.items()
        if name not in network.constants
    ]


def read_reference(path: Path, network: Network) -> Reference:
    """Read an .npz file of tensors, each by its name or its number in the model's file.

    The key "outputs" is the only output. The first axis of an array is the samples', and may
    be left out for one.

    Raises
    ------
    InputError
        If the file cannot be read, holds nothing of the network, or an array does not fit.
    """
    ports = _by_key(network)
    arrays = read_arrays(path, f"save the tensors with numpy.savez({path.name!r}, **tensors)")
    known = [(ports[key], _samples(path, key, ports[key], arrays[key]))
             for key in arrays if key in ports]  # fmt: skip
    if not known:
        found = ", ".join(repr(key) for key in arrays) or "none"
        raise InputError(
            f"{path} has no array for any tensor of the model (found: {found}); name the arrays "
            f"by the model's tensors, such as {activations(network)[0].name!r}, or by their numbers"
        )
    return Reference(path, known, tuple(key for key in arrays if key not in ports))


def compare_reference(
    network: Network, reference: Reference, tensors: Mapping[str, np.ndarray]
) -> Divergence | None:
    """Compare golden's tensors with a reference, as many samples as both have.

    Parameters
    ----------
    tensors : mapping of tensor name to int8 array, shape (N, H, W, C), in execution order
    """
    order = {name: number for number, name in enumerate(tensors)}
    for port, wanted in sorted(reference.tensors, key=lambda pair: order[pair[0].tensor]):
        tensor = network.tensors[port.tensor]
        count = min(len(wanted), len(tensors[port.tensor]))
        have = dequantize_output(port, tensor, tensors[port.tensor][:count])
        both = [{port.tensor: in_memory(port, tensor, array)} for array in (wanted[:count], have)]
        found = compare(*both, level="golden")
        if found is not None:
            return replace(found, name=port.name, number=port.number, against=reference.path.name)
    return None


def _by_key(network: Network) -> dict[str, Port]:
    """Ports by all their keys; where a name looks like a number, it is one."""
    ports = [*activations(network), *network.outputs]
    result = {port.name: port for port in ports}
    result |= {str(port.number): port for port in ports if port.number is not None}
    if len(network.outputs) == 1:
        result.setdefault(OUTPUTS, network.outputs[0])
    return result


def _samples(path: Path, key: str, port: Port, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "fiub":
        raise InputError(f"{path}: array {key!r} has dtype {array.dtype}; save numbers")
    # TFLite's own shapes begin with a batch of 1, which an array may have or not.
    shape = port.shape[1:] if port.shape[:1] == (1,) else port.shape
    extra = array.ndim - len(shape)
    leading = array.shape[: max(extra, 0)]
    if extra < 0 or array.shape[extra:] != shape or leading[1:] not in ((), (1,)):
        wanted = " x ".join(str(side) for side in ("N", *port.shape))
        found = " x ".join(str(side) for side in array.shape) or "a single number"
        raise InputError(
            f"{path}: array {key!r} has shape {found} where tensor {port.name!r} of the model has "
            f"{wanted}; give the tensors of this model"
        )
    samples = array.reshape(leading[0] if leading else 1, *port.shape)
    if not len(samples):
        raise InputError(f"{path}: array {key!r} has no samples; give at least one")
    return samples
