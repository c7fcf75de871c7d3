"""``weft demo``: the whole path on real handwritten digits, by the commands' own functions."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from weft.boards.registry import find_board
from weft.commands.build import Built, build
from weft.commands.compile import compile_model
from weft.commands.levels import run_level
from weft.commands.quantize import quantize_model
from weft.compiler.edges import decode_outputs, encode_inputs
from weft.compiler.float_run import run_float
from weft.compiler.program import Program
from weft.console import say, step, table
from weft.errors import RefusedError
from weft.examples.digits.data import load_digits
from weft.models import BUILD, SUMMARY, VERILOG, make_folder
from weft.sim import golden
from weft.sim.engine import compare

#: INT8 may be wrong on so many more images than float, as a share.
TOLERANCE = 0.005

QUANTIZED = "digits_int8.onnx"
CALIBRATION = "calibration.npz"
HELD_OUT = "held_out.npz"


@dataclass(frozen=True, eq=False)
class Demo:
    """What the demo found.

    Parameters
    ----------
    folder : Path
        Where everything lies: it can be used like any folder of ``weft compile``.
    images : int
        Held-out images: accuracy is measured on them, and the Verilog equals golden on each.
    float_accuracy, int8_accuracy : float
    cycles : float
        Cycles per image.
    macs : int
    utilization : float
    built : Built
    """

    folder: Path
    images: int
    float_accuracy: float
    int8_accuracy: float
    cycles: float
    macs: int
    utilization: float
    built: Built

    @property
    def holds(self) -> bool:
        """INT8 is as accurate as it should be."""
        return self.int8_accuracy >= self.float_accuracy - TOLERANCE

    @property
    def images_per_second(self) -> float:
        """At the clock that the board runs at."""
        return self.built.report.target_mhz * 1e6 / self.cycles

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return {
            "folder": str(self.folder),
            "images": self.images,
            "float_accuracy": self.float_accuracy,
            "int8_accuracy": self.int8_accuracy,
            "cycles_per_image": self.cycles,
            "macs": self.macs,
            "utilization": self.utilization,
            "images_per_second": self.images_per_second,
            "build": self.built.to_json(),
        }

    def show(self) -> None:
        """Print it for a person."""
        rows = [
            ("float accuracy", f"{self.float_accuracy:.2%} of {self.images} held-out images"),
            ("INT8 accuracy", f"{self.int8_accuracy:.2%} of the same images"),
            ("Verilog equals golden", f"every output of the {self.images} images"),
            ("cycles per image", f"{self.cycles:,.0f} (utilization {self.utilization:.1%})"),
            *self.built.rows(),
            ("images per second", f"{self.images_per_second:,.0f} at the clock it runs at"),
        ]
        table(["", ""], rows, title=f"Handwritten digits on {self.built.board.title}")
        table(["file", ""], [(self.folder / name, what) for name, what in self._files()])
        if not self.holds:
            say(f"INT8 is more than {TOLERANCE:.1%} less accurate than float")
        say(f"next: plug the board in and type  weft flash {self.folder}")

    def _files(self) -> list[tuple[str, str]]:
        return [
            (self.built.report.files["bitstream"], "the bitstream"),
            (VERILOG, "the core as Verilog"),
            (QUANTIZED, "the INT8 network, as QDQ ONNX"),
            (SUMMARY, "layers and memories"),
            (BUILD, "clock, cells, tools"),
            (HELD_OUT, "images for weft simulate, verify and run"),
        ]


def run_demo(folder: Path, *, board: str = "icebreaker") -> Demo:
    """Take the digits network all the way to a bitstream.

    Parameters
    ----------
    folder : Path
        Where everything goes.
    board : str
        The board to build for.

    Raises
    ------
    RefusedError
        If scikit-learn or a tool is missing, or a level differs from golden.
    """
    find_board(board)  # an unknown one is refused before anything is done
    digits = load_digits()
    images = len(digits.test_images)
    make_folder(folder)
    np.savez(folder / CALIBRATION, inputs=digits.train_images)
    np.savez(folder / HELD_OUT, inputs=digits.test_images)

    with as_file(files("weft.examples.digits") / "digits.onnx") as model:
        with step(f"float model on {images} held-out images") as running:
            logits = run_float(model, {"image": digits.test_images}, ["logits"])["logits"]
            float_accuracy = _accuracy(logits, digits.test_labels)
            running.note(f"{float_accuracy:.2%} right")
        network = quantize_model(model, folder / CALIBRATION, folder / QUANTIZED).network
    codes = encode_inputs(network, {"image": digits.test_images})
    with step(f"INT8 model on {images} held-out images") as running:
        expected = golden.run_network(network, codes)
        logits = decode_outputs(network, expected)["logits"]
        int8_accuracy = _accuracy(logits, digits.test_labels)
        running.note(f"{int8_accuracy:.2%} right")

    compiled = compile_model(folder / QUANTIZED, folder, board=board)
    program = compiled.program
    cycles = _simulate(program, codes, expected, folder)
    built = build(folder)
    macs = compiled.summary["macs"]
    return Demo(
        folder=folder,
        images=images,
        float_accuracy=float_accuracy,
        int8_accuracy=int8_accuracy,
        cycles=cycles,
        macs=macs,
        utilization=macs / (program.config.multipliers * cycles),
        built=built,
    )


def _simulate(
    program: Program,
    codes: dict[str, np.ndarray],
    expected: dict[str, np.ndarray],
    folder: Path,
) -> float:
    """Mean cycles per image, once every output has proved equal to golden."""
    images = len(next(iter(codes.values())))
    with step(f"Verilog in Verilator, {images} images") as running:
        result = run_level(
            "verilog", program, codes, verilog_path=folder / VERILOG, progress=running.progress
        )
        found = compare(expected, result.outputs, level="verilog")
        if found is not None:
            raise RefusedError(f"not equal: {found}")
        running.note("every output equals golden")
    assert result.cycles is not None
    return sum(result.cycles) / len(result.cycles)


def _accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(logits.reshape(len(labels), -1).argmax(axis=1) == labels))
