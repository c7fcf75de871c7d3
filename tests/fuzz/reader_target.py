"""One execution of the search in model files: a file's bytes go through a reader.

A file is read, or refused by a `WeftError` whose first line names it. Anything else, more than
`SECONDS` or more than `BYTES` of memory is a finding.
"""

from __future__ import annotations

import resource
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from unittest import mock
from zlib import crc32

from weft.commands.check import check
from weft.compiler import onnx_file, tflite_file
from weft.compiler.onnx_reader import load_onnx
from weft.compiler.onnx_shapes import Shapes
from weft.compiler.quantize import quantize
from weft.compiler.tflite_float import float_graph, is_float_model
from weft.errors import UnsupportedError, WeftError
from weft.models import int8_network

#: Seconds that one file may take, on a machine that does other things as well.
SECONDS = 30.0

#: Bytes that the whole process may take, what it imports included.
BYTES = 1 << 30

#: No file that needs much memory is read in fewer seconds.
QUICK = 0.02

#: Of so many files that are read, one is checked as by `weft check`, which takes far longer.
CHECKED = 64


class Finding(Exception):
    """What a file must not do."""


class Target:
    """Reads one file's bytes after the other.

    Parameters
    ----------
    reader : str
        "tflite" or "onnx".
    folder : Path
        For the files that are checked; others are not written, since that takes longer than it
        takes to read most of them.
    """

    def __init__(self, reader: str, folder: Path):
        self.path = folder / f"model.{reader}"
        self._read = READERS[reader]
        self._data = b""

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Have the readers take their bytes from here."""

        def given(*_: object) -> bytes:
            return self._data

        with (
            mock.patch.object(tflite_file, "read_model_file", given),
            mock.patch.object(onnx_file, "read_model_file", given),
            shapes_as_stated(),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("error")  # a user would see it among the messages
            yield

    def execute(self, data: bytes) -> str:
        """Read a file's bytes, within `ready`.

        Returns
        -------
        str
            "read", "checked" (the same, and lowered) or "refused".

        Raises
        ------
        Finding
            If it takes too long or too much memory, or its refusal does not name it.
        Exception
            Whatever else the reader raises is a finding as well.
        """
        self._data = data
        start = time.perf_counter()
        try:
            self._read(self.path)
            outcome = "read"
            if crc32(data) % CHECKED == 0:
                self.path.write_bytes(data)  # ONNX Runtime, which runs float models, reads it
                check(self.path)
                outcome = "checked"
        except WeftError as error:
            _check_message(error, self.path)
            outcome = "refused"
        seconds = time.perf_counter() - start
        if seconds > SECONDS:
            raise Finding(f"it takes {seconds:.1f} s")
        # Asking takes longer than most inputs do, and so does filling that much memory.
        if seconds > QUICK and (used := peak_bytes()) > BYTES:
            raise Finding(f"the process has taken {used} bytes")
        return outcome


def _read_tflite(path: Path) -> None:
    model = tflite_file.read_tflite_file(path)
    if is_float_model(model):
        float_graph(model)
    else:
        int8_network(model)


def _read_onnx(path: Path) -> None:
    graph = load_onnx(path)
    if graph.scales:
        quantize(graph, graph.scales)


READERS: dict[str, Callable[[Path], None]] = {"tflite": _read_tflite, "onnx": _read_onnx}


def _check_message(error: WeftError, path: Path) -> None:
    lines = str(error).split("\n")
    problems = error.problems if isinstance(error, UnsupportedError) else ()
    if str(path) not in lines[0] and not problems:
        raise Finding(f"its refusal does not name it: {error}")
    if len(lines) != 1 + len(problems):
        raise Finding(f"its refusal has {len(lines)} lines for {len(problems)} problems: {error}")
    if not all(line.isprintable() for line in lines):
        raise Finding(f"its refusal has characters that are not printable: {error!r}")


def peak_bytes() -> int:
    """The most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def shapes_as_stated() -> Iterator[None]:
    """Take shapes behind a problem from the file, in place of ONNX's inference.

    That runs in a process of its own, which takes most of a second. What a file states may be
    anything, so the reader meets more here than the inference would give it.
    """

    @cached_property
    def stated(self: Shapes) -> dict[str, tuple[int, ...]]:
        graph = self._file.model.graph
        return {
            value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
            for value in (*graph.value_info, *graph.output)
        }

    stated.__set_name__(Shapes, "_inferred")
    with mock.patch.object(Shapes, "_inferred", stated):
        yield
