"""The float graph: a model as read, normalised, before quantization.

Readers make it, the quantizer consumes it. Like the integer graph it is channels
last, (H, W, C) without the batch axis, and a dense vector of F features is
(1, 1, F). Names of tensors are the file's own, so that a tensor can be asked for
by name in the file's own runtime; only tensors that a Permute writes ("…/permuted") or
that negative pads cut off ("…/cropped") have no name there.
Reshapes and transposes that only change how the file looks at the same memory leave no
node behind: they change `order`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Op = Literal[
    "Conv2D",  # weights (O, kh, kw, I/groups), bias (O,); stride dilation padding groups
    "FullyConnected",  # weights (O, H*W*I) in the input's memory order, bias (O,)
    "Clamp",  # low, high (float or None): Relu, Clip, ReLU6
    "Unary",  # function: "LeakyRelu" "Sigmoid" "Tanh" "HardSigmoid" "HardSwish"; its attributes
    "MaxPool",  # kernel stride dilation padding
    "AveragePool",  # kernel stride padding count_include_pad
    "Add",  # two inputs; signs (1, 1) or (1, -1)
    "Pad",  # pads ((top, bottom), (left, right), (front, back)), value
    "Concat",  # axis 0, 1 or 2
    "Slice",  # start stop step, each of 3
    "Permute",  # order (int64, flat): a move that no view can express
    "Softmax",  # over the channels of (1, 1, C)
]


@dataclass(frozen=True)
class Scale:
    """Quantization given by the file (QDQ) or chosen by calibration.

    Parameters
    ----------
    scale : float64 array, shape () or (channels,)
    zero_point : int array, of the same shape
    """

    scale: np.ndarray
    zero_point: np.ndarray


@dataclass(frozen=True)
class FloatTensor:
    """A tensor of the float graph.

    Parameters
    ----------
    name : str
        The file's name for it.
    shape : (H, W, C)
    file_shape : tuple of int
        As in the file, with the batch axis.
    order : int64 array or None
        ``file.flat[i] == tensor.flat[order[i]]`` for one sample; None is the identity.
    memory : str
        Empty for a tensor of its own. Otherwise this is the name of an output of the file
        that only looks at the memory of the tensor named here: no node reads or writes it,
        `shape` is that tensor's, and `order` refers to its elements.
    """

    name: str
    shape: tuple[int, int, int]
    file_shape: tuple[int, ...]
    order: np.ndarray | None = None
    memory: str = ""


@dataclass(frozen=True, eq=False)
class FloatNode:
    """One operator: `attributes` as listed at `Op`, float64 arrays in `constants`.

    For Conv2D and FullyConnected `constants` has "weights" and "bias" (zeros where the
    file has none). `scales` maps a constant's name to its quantization where the file
    gives one. `sources` are the names of the file's nodes that were folded into this one.
    """

    op: Op
    name: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    scales: Mapping[str, Scale] = field(default_factory=dict)
    sources: tuple[str, ...] = ()


@dataclass(eq=False)
class FloatGraph:
    """A model as read; `nodes` are in execution order.

    `scales` maps a tensor's name to its quantization where the file gives one (QDQ);
    empty for a float model. `inputs` and `outputs` are names of `tensors`; those in `codes`
    are int8 in the file, codes as they are.
    """

    name: str
    tensors: dict[str, FloatTensor] = field(default_factory=dict)
    nodes: list[FloatNode] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    scales: dict[str, Scale] = field(default_factory=dict)
    codes: set[str] = field(default_factory=set)
