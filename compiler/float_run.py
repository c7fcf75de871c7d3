"""Runs a float model with ONNX Runtime and shows tensors inside it, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnxruntime

from weft.errors import InputError

#: An ONNX file, or a model in memory, which messages call by its graph's name.
Model: TypeAlias = str | Path | onnx.ModelProto

#: Called with (samples done, samples in all); the latter is 0 where it is not known.
Progress = Callable[[int, int], None]

#: Samples run at once where the model leaves the batch open.
BATCH = 32


class FloatRunner:
    """A model whose inner tensors can be asked for by name.

    Parameters
    ----------
    model : str, Path or onnx.ModelProto
        The ONNX file, or the model itself.
    names : sequence of str
        Tensors to show, by the file's own names.
    """

    def __init__(self, model: Model, names: Sequence[str]):
        self.title = title_of(model)
        self.names = list(names)
        try:
            shown = _load(model)
            _pad_explicitly(shown.graph)
            outputs = {value.name for value in shown.graph.output}
            # Names alone are enough: the runtime infers types and shapes.
            shown.graph.output.extend(
                onnx.ValueInfoProto(name=name) for name in self.names if name not in outputs
            )
            self._session = _session(shown)
        except Exception as error:  # the two libraries raise a dozen unrelated classes
            raise InputError(
                f"{self.title} cannot be run by ONNX Runtime ({_first_line(error)}); "
                "check the file with onnx.checker"
            ) from error
        sizes = {value.shape[0] for value in self._session.get_inputs() if value.shape}
        fixed = [size for size in sizes if isinstance(size, int)]
        self._fixed = fixed[0] if fixed else None
        self._size = self._fixed or BATCH

    def run(
        self, arrays: Mapping[str, np.ndarray], progress: Progress | None = None
    ) -> Iterator[dict[str, np.ndarray]]:
        """Tensors by name for one batch after another; the last may be shorter.

        Parameters
        ----------
        arrays : mapping of input name to float32 array (N, *the model's shape)
        progress : callable, optional
        """
        total = len(next(iter(arrays.values())))
        start = 0
        while start < total:
            stop = min(start + self._size, total)
            batch = {name: array[start:stop] for name, array in arrays.items()}
            try:
                tensors = self._run(batch, stop - start)
            except Exception as error:  # ONNX Runtime's classes share no base
                if self._size == 1 or self._fixed:
                    raise InputError(
                        f"{self.title} fails in ONNX Runtime ({_first_line(error)}); "
                        "check that the model runs on these samples"
                    ) from error
                self._size = 1  # an open batch axis, but a fixed one somewhere inside
                continue
            yield tensors
            start = stop
            if progress:
                progress(start, total)

    def _run(self, batch: Mapping[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
        size = self._fixed or count
        if count < size:  # fill a fixed batch by repeating the last sample
            batch = {
                name: np.concatenate([array, np.repeat(array[-1:], size - count, axis=0)])
                for name, array in batch.items()
            }
        outputs: Any = self._session.run(self.names, dict(batch))
        return {
            name: output[:count] if np.ndim(output) and len(output) == size else output
            for name, output in zip(self.names, outputs, strict=True)
        }


def run_float(
    model: Model,
    arrays: Mapping[str, np.ndarray],
    names: Sequence[str],
    progress: Progress | None = None,
) -> dict[str, np.ndarray]:
    """Tensors by name for all samples at once; for outputs, which are small."""
    batches = list(FloatRunner(model, names).run(arrays, progress))
    return {name: np.concatenate([batch[name] for batch in batches]) for name in names}


def title_of(model: Model) -> str:
    """How messages call a model."""
    return model.graph.name if isinstance(model, onnx.ModelProto) else str(model)


def tensors_of(model: Model) -> set[str]:
    """Names of all tensors that a run can show."""
    graph = _load(model).graph
    return {value.name for value in graph.input} | {
        name for node in graph.node for name in node.output if name
    }


def _load(model: Model) -> onnx.ModelProto:
    """A model of one's own, which may be changed."""
    if isinstance(model, onnx.ModelProto):
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        return copy
    return onnx.load(model)


def _pad_explicitly(graph: onnx.GraphProto) -> None:
    """Replace the "same" padding of dilated convolutions, which the runtime refuses, by numbers.

    PyTorch and Keras write it with stride 1 alone, where it does not depend on the image.
    """
    for node in graph.node:
        values = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        mode, dilations = values.get("auto_pad", b""), values.get("dilations", ())
        if (
            node.op_type != "Conv"
            or mode not in (b"SAME_UPPER", b"SAME_LOWER")
            or max(dilations, default=1) == 1
            or max(values.get("strides", ()), default=1) != 1
            or len(values.get("kernel_shape", ())) != len(dilations)
        ):
            continue
        totals = [(k - 1) * d for k, d in zip(values["kernel_shape"], dilations, strict=True)]
        small, large = [t // 2 for t in totals], [t - t // 2 for t in totals]
        pads = small + large if mode == b"SAME_UPPER" else large + small
        kept = [a for a in node.attribute if a.name not in ("auto_pad", "pads")]
        del node.attribute[:]
        node.attribute.extend([*kept, onnx.helper.make_attribute("pads", pads)])


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
