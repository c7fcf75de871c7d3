"""The integer graph: everything a network computes, as integers.

It is the contract between the quantizer that makes it and the golden model,
the lowering and the ONNX writer that use it. It holds plain data only. Every
tensor is int8 and channels last, (H, W, C), without the batch axis; a dense
vector of F features is (1, 1, F). ``docs/arithmetic.md`` states what each node
computes; nothing below this file sees a float except at the network's edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Rounding = Literal["shift", "double", "single"]


@dataclass(frozen=True)
class Tensor:
    """An int8 activation: real value = scale * (code - zero_point)."""

    name: str
    shape: tuple[int, int, int]
    scale: float
    zero_point: int = 0

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.shape[0] * self.shape[1] * self.shape[2]


@dataclass(frozen=True, eq=False)
class Scaling:
    """A real factor in integers: how an accumulator is made smaller, or larger.

    Parameters
    ----------
    shift : int32 array, shape (channels,) or (1,)
        With ``rounding="shift"``: divide by 2**shift, ties away from zero.
        Otherwise TFLite's shift (positive is to the left) beside `multiplier`.
    multiplier : int32 array of the same shape, or None
        TFLite's 31-bit multiplier; None exactly when ``rounding="shift"``.
    rounding : str
        "double" and "single" are the two ways TFLite's kernels multiply: `docs/arithmetic.md`.
    """

    shift: np.ndarray
    multiplier: np.ndarray | None = None
    rounding: Rounding = "shift"


@dataclass(frozen=True, eq=False, kw_only=True)
class Requantize(Scaling):
    """From an accumulator to a code: scale, add `zero_point`, clamp to [`low`, `high`]."""

    zero_point: int = 0
    low: int = -128
    high: int = 127


@dataclass(frozen=True, eq=False)
class Node:
    """One operator; `inputs` and `output` are tensor names."""

    name: str
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True, eq=False)
class Conv2D(Node):
    """Convolution; depthwise where ``groups`` equals the input channels.

    ``acc[o] = bias[o] + sum (x - input_zero_point) * weights[o, ky, kx, i]``, then requantize.
    Padding contributes nothing, so it reads as the input's zero point.

    Parameters
    ----------
    weights : int8 array, shape (out channels, kh, kw, in channels / groups)
    bias : int32 array, shape (out channels,)
    stride, dilation : (vertical, horizontal)
    padding : (top, left, bottom, right)
    """

    weights: np.ndarray
    bias: np.ndarray
    requantize: Requantize
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1


@dataclass(frozen=True, eq=False)
class FullyConnected(Node):
    """Matrix product with the whole input, flattened in (H, W, C) order.

    Parameters
    ----------
    weights : int8 array, shape (out features, H * W * C)
    bias : int32 array, shape (out features,)
    """

    weights: np.ndarray
    bias: np.ndarray
    requantize: Requantize


@dataclass(frozen=True, eq=False)
class AveragePool(Node):
    """Mean over a window: ``round(sum(codes) * 2**left / n)``, ties away from zero, then clamp.

    `n` is the window's size with `count_include_pad` (padding then counts as the
    input's zero point), else the number of elements inside the image. A negative
    `left` divides by ``n * 2**-left``. GlobalAveragePool and ReduceMean over
    height and width are windows of the whole image.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    count_include_pad: bool = False
    left: int = 0
    low: int = -128
    high: int = 127


@dataclass(frozen=True, eq=False)
class MaxPool(Node):
    """Maximum over the elements of a window that lie inside the image, then clamp."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    low: int = -128
    high: int = 127


@dataclass(frozen=True, eq=False)
class Add(Node):
    """Sum or difference of two tensors, each first brought to a common scale.

    ``requantize(sum(sign[i] * scaling[i]((x[i] - zero_point[i]) << left[i]) for i in (0, 1)))``

    With power-of-two scales there are no `scalings`: the operands are shifted to the finer
    scale exactly, and only the sum is rounded. TFLite's ADD and SUB shift both by 20 and
    scale each before it adds. A subtraction has sign -1 on its second operand. An operand
    of shape (1, 1, 1), (1, 1, C) or (H, W, 1) is repeated.
    """

    left: tuple[int, int]
    requantize: Requantize
    signs: tuple[int, int] = (1, 1)
    scalings: tuple[Scaling, Scaling] | None = None


@dataclass(frozen=True, eq=False)
class Mul(Node):
    """Product of two tensors: ``requantize((x[0] - zero_point[0]) * (x[1] - zero_point[1]))``.

    An operand of shape (1, 1, 1), (1, 1, C) or (H, W, 1) is repeated.
    """

    requantize: Requantize


@dataclass(frozen=True, eq=False)
class Mean(Node):
    """TFLite's MEAN over height, width or both: ``requantize(sum(x - input_zero_point))``.

    `axes` are 0 (H) and 1 (W); the output has size 1 there.
    """

    axes: tuple[int, ...]
    requantize: Requantize


@dataclass(frozen=True, eq=False)
class Rescale(Node):
    """The same values at another scale: ``requantize(x - input_zero_point)``.

    TFLite's QUANTIZE from int8 to int8, and RELU and RELU6 as operators of their own.
    """

    requantize: Requantize


@dataclass(frozen=True, eq=False)
class Table(Node):
    """A unary function: ``table[code + 128]``, int8 array of 256.

    `function` and `attributes` say which real function it was computed from, so that
    the ONNX writer can name it: an operator, or "Clamp" with "low" and "high".
    """

    table: np.ndarray
    function: str = ""
    attributes: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Pad(Node):
    """Constant padding, ((top, bottom), (left, right), (front, back)), with one code."""

    pads: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    value: int = 0


@dataclass(frozen=True, eq=False)
class Concat(Node):
    """Inputs one after another along axis 0 (H), 1 (W) or 2 (C).

    Input i is first divided by ``2**shift[i]`` (ties away from zero) and saturated.
    """

    axis: int
    shift: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Slice(Node):
    """``x[start:stop:step]`` on each of H, W, C; steps are positive."""

    start: tuple[int, int, int]
    stop: tuple[int, int, int]
    step: tuple[int, int, int] = (1, 1, 1)


@dataclass(frozen=True, eq=False)
class Permute(Node):
    """A move of whole elements: ``output.flat[i] = input.flat[order[i]]``.

    Reshape and Transpose become this, and only where memory order really changes.
    """

    order: np.ndarray


@dataclass(frozen=True, eq=False)
class Softmax(Node):
    """TFLite's integer SOFTMAX over the channels of every pixel.

    Runs in the host, at the network's edge only; output scale 1/256, zero point -128.
    `beta` multiplies the input's scale.
    """

    beta: float = 1.0


@dataclass(frozen=True, eq=False)
class Port:
    """An input or output as the model's file has it.

    Parameters
    ----------
    name : str
        The file's own name for it.
    tensor : str
        The tensor of the integer graph it feeds or shows.
    shape : tuple of int
        Of one sample, in the file's layout: ONNX without its batch axis, TFLite with its batch
        of 1.
    dtype : str
        ``"float32"``: quantized or dequantized in the host; ``"int8"``: codes.
    order : int64 array or None
        ``file.flat[i] == tensor.flat[order[i]]`` for one sample; None is the identity.
    number : int or None
        The tensor's index in a TFLite file.
    """

    name: str
    tensor: str
    shape: tuple[int, ...]
    dtype: Literal["float32", "int8"] = "float32"
    order: np.ndarray | None = None
    number: int | None = None


@dataclass(eq=False)
class Network:
    """An integer graph.

    Parameters
    ----------
    name : str
    tensors : dict of name to Tensor
        In the order in which they are made.
    nodes : list of Node
        In execution order.
    inputs, outputs : list of Port
    constants : dict of tensor name to int8 array (H, W, C)
        Tensors that are known beforehand: operands of Add and Mul. They are in `tensors` too.
    activations : list of Port
        Every activation of the model's file by the name it has there, inputs and outputs
        included, with codes as they are ("int8"): what layers are compared by.
    """

    name: str
    tensors: dict[str, Tensor] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    activations: list[Port] = field(default_factory=list)
