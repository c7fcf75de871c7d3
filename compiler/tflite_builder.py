"""The integer graph under construction from a `.tflite` file: tensors, nodes and their names."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

import numpy as np

from weft.compiler.network import Network, Node, Permute, Tensor
from weft.compiler.tflite_file import TfliteTensor
from weft.compiler.tflite_views import NodeError, Shape3, View, image_shape

#: As many elements as a tensor may have: more is a broken file, or no network for an FPGA.
LARGEST_TENSOR = 1 << 24

#: And all tensors together: a move takes 8 bytes for each element.
LARGEST_SUM = 1 << 25


class Builder:
    """Collects a Network node by node.

    Parameters
    ----------
    name : str
        Of the network.
    tensors : list of TfliteTensor
        Every tensor of the file.
    """

    def __init__(self, name: str, tensors: list[TfliteTensor]):
        self.network = Network(name)
        self.names = tensor_names(tensors)
        self._taken = set(self.names)
        self._node_names: set[str] = set()
        self._unsettled: set[str] = set()
        self._moved: dict[tuple[str, Shape3], str] = {}
        self._left = LARGEST_SUM
        self._constants: dict[tuple[int, Shape3], str] = {}

    def add_input(self, name: str, tensor: TfliteTensor, shape: tuple[int, ...]) -> View:
        """Memory that the user fills; how it is folded into (H, W, C) is still open."""
        made = self.add(name, tensor, shape)
        self._unsettled.add(name)
        return made

    def add(
        self,
        name: str,
        tensor: TfliteTensor,
        shape: tuple[int, ...],
        image: Shape3 | None = None,
    ) -> View:
        """Memory (H, W, C) with the quantization of `tensor`, seen with the file's shape."""
        image = image or image_shape(shape)
        self.charge(name, image)
        scale, zero_point = quantization(tensor)
        self.network.tensors[name] = Tensor(name, image, float(scale), zero_point)
        return View(name, shape)

    def charge(self, name: str, shape: tuple[int, ...]) -> None:
        """Refuse a tensor that is too large, or one too many for the memory that moves take."""
        size = math.prod(shape)
        self._left -= size
        if size > LARGEST_TENSOR:
            reason = f"tensor {name!r} of shape {list(shape)} is too large"
        elif self._left < 0:
            reason = f"the tensors up to here have more than {LARGEST_SUM} elements"
        else:
            return
        raise NodeError(reason, "use a smaller model")

    def add_node(self, node: Node) -> None:
        """Append a node; its name must come from `node_name`."""
        self.network.nodes.append(node)

    def node_name(self, name: str) -> str:
        """A name that no other node has."""
        return unique(name, self._node_names)

    def new_tensor(self, name: str) -> str:
        """A name for memory that the file has no name for."""
        return unique(name, self._taken)

    def shape(self, view: View) -> Shape3:
        """The (H, W, C) in which a view's memory lies, from here on for good."""
        self._unsettled.discard(view.memory)
        return self.network.tensors[view.memory].shape

    def image(self, view: View, shape: Shape3 | None = None) -> str:
        """Name of memory that holds a view as (H, W, C), that of its shape unless given.

        An input of the network takes the first shape that is asked for; anything else is moved.
        """
        wanted = shape or image_shape(view.shape)
        tensor = self.network.tensors[view.memory]
        if tensor.shape != wanted and view.memory in self._unsettled:
            tensor = Tensor(tensor.name, wanted, tensor.scale, tensor.zero_point)
            self.network.tensors[view.memory] = tensor
        self._unsettled.discard(view.memory)
        if tensor.shape == wanted:
            return view.memory
        key = (view.memory, wanted)
        if key not in self._moved:
            name = self.new_tensor(f"{view.memory}/reshaped")
            self.charge(name, wanted)
            order = np.arange(tensor.size, dtype=np.int64)
            self.network.tensors[name] = Tensor(name, wanted, tensor.scale, tensor.zero_point)
            self.add_node(Permute(self.node_name(name), (view.memory,), name, order))
            self._moved[key] = name
        return self._moved[key]

    def constant(self, tensor: TfliteTensor, codes: np.ndarray) -> str:
        """Name of a constant operand: codes (H, W, C) of a tensor of the file."""
        shape: Shape3 = codes.shape
        key = (tensor.number, shape)
        if key not in self._constants:
            name = self.names[tensor.number]
            if name in self.network.constants:
                name = self.new_tensor(f"{name}/repeated")
            self.add(name, tensor, shape, shape)
            self.network.constants[name] = codes
            self._constants[key] = name
        return self._constants[key]


def unique(name: str, taken: set[str]) -> str:
    """A name that is not taken yet, which it then is."""
    count, candidate = 1, name
    while candidate in taken:
        count += 1
        candidate = f"{name}/{count}"
    taken.add(candidate)
    return candidate


def tensor_names(tensors: Iterable[TfliteTensor]) -> list[str]:
    """A name for every tensor, in order: its own, with its number where that is not unique."""
    own = [tensor.name or f"tensor_{tensor.number}" for tensor in tensors]
    count = Counter(own)
    taken = {name for name in own if count[name] == 1}
    result = []
    for number, plain in enumerate(own):
        name = plain
        if count[plain] > 1:
            name = unique(f"{plain}/{number}", taken)
        result.append(name)
    return result


def quantization(tensor: TfliteTensor) -> tuple[np.float32, int]:
    """Scale and zero point of an int8 activation or operand.

    Raises
    ------
    NodeError
        If it is of another type, or has no scale, or one for each channel.
    """
    if tensor.dtype != "int8":
        raise NodeError(f"tensor {tensor.name!r} is {tensor.dtype}", _REMEDIES.get(
            tensor.dtype, "convert the model so that this part computes in int8"))  # fmt: skip
    if tensor.scale is None or tensor.zero_point is None:
        raise NodeError(f"tensor {tensor.name!r} is int8 without a scale",
                        "quantise it to full INT8 when converting")  # fmt: skip
    if len(tensor.scale) != 1:
        raise NodeError(f"tensor {tensor.name!r} has {len(tensor.scale)} scales",
                        "quantise activations per tensor")  # fmt: skip
    return np.float32(tensor.scale[0]), int(tensor.zero_point[0])


_FULL_INT8 = "quantise it to full INT8 when converting"
_REMEDIES = {
    "float32": _FULL_INT8,
    "float16": _FULL_INT8,
    "float64": _FULL_INT8,
    "uint8": "convert the model again with TensorFlow 2, whose quantisation is int8",
    "int16": "convert with int8 activations (TFLITE_BUILTINS_INT8)",
    "int4": "convert with int8 weights",
}
