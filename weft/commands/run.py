"""``weft run``: samples through a board, or the board put to the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.compiler.program import Program
from weft.console import WIDTH, say, short, step, table, wrap
from weft.device import Device, LayerCycles, board_baud
from weft.models import check_output, read_program, read_samples, write_samples
from weft.self_test import SelfTested
from weft.simulated_board import SIMULATED

#: Labels shown to a person; all of them are in what ``--json`` prints.
_SHOWN = 10


@dataclass(frozen=True)
class Ran:
    """Outputs of a board.

    Parameters
    ----------
    outputs : str
        The file they are in.
    cycles : list of int
        As the core counts them, one per sample.
    labels : list of str or None
        The name of each sample's class, where names were given.
    """

    outputs: str
    cycles: list[int]
    labels: list[str] | None = None

    holds = True

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        plain: dict[str, Any] = {"outputs": self.outputs, "cycles": self.cycles}
        return plain if self.labels is None else {**plain, "labels": self.labels}

    def show(self) -> None:
        """Print it for a person."""
        if self.labels is not None:
            rows = [[number, label] for number, label in enumerate(self.labels[:_SHOWN])]
            table(["sample", "label"], rows)
            more = len(self.labels) - _SHOWN
            if more > 0:
                say(f"and {more:,} more; --json prints all")
        mean = sum(self.cycles) / len(self.cycles)
        say(f"outputs written to {self.outputs}, {mean:,.0f} cycles per sample")


@dataclass(frozen=True)
class LayersRan:
    """The cycles of every layer on a board.

    Parameters
    ----------
    port : str
    layers : tuple of LayerCycles
    """

    port: str
    layers: tuple[LayerCycles, ...]

    @property
    def holds(self) -> bool:
        """Every layer took the cycles that were estimated."""
        return all(layer.equal for layer in self.layers)

    @property
    def estimated(self) -> int:
        """Cycles of an inference."""
        return sum(layer.estimated for layer in self.layers)

    @property
    def measured(self) -> int:
        """The same, on the board."""
        return sum(layer.measured for layer in self.layers)

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return {
            "port": self.port,
            "equal": self.holds,
            "estimated": self.estimated,
            "measured": self.measured,
            "layers": [
                {
                    "name": layer.name,
                    "op": layer.op,
                    "estimated": layer.estimated,
                    "measured": layer.measured,
                    "equal": layer.equal,
                }
                for layer in self.layers
            ],
        }

    def show(self) -> None:
        """Print it for a person."""
        heads = ["estimated", "measured"] + ["differs"] * (not self.holds)
        room = WIDTH - sum(3 + max(len(head), 9) for head in heads)
        rows = []
        for layer in self.layers:
            row: list[object] = [short(layer.name, room), layer.estimated, layer.measured]
            if not self.holds:
                row.append(None if layer.equal else f"{layer.measured - layer.estimated:+,}")
            rows.append(row)
        table(["layer", *heads], rows)
        say(f"{self.measured:,} cycles on {self.port}, estimated {self.estimated:,}")
        wrong = sum(not layer.equal for layer in self.layers)
        if wrong:
            say(wrap(
                f"{wrong} of {len(self.layers)} layers did not take the cycles that were "
                "estimated: the bitstream is of another version of the core; build and flash it "
                "again"
            ))  # fmt: skip
        else:
            say("every layer took the cycles that were estimated")


def run(
    folder: Path,
    inputs: Path,
    output: Path,
    *,
    port: str,
    labels: Path | None = None,
    baud: int | None = None,
    **options: Any,
) -> Ran:
    """Run samples on a board that is flashed with this folder's bitstream.

    Parameters
    ----------
    folder : Path
        What `compile_model` wrote.
    inputs, output : Path
        .npz files with `inputs` to read and `outputs` to write.
    port : str
        The board's serial port; ``"sim"`` is a simulated board that is started for it.
    labels : Path, optional
        A text file with the name of a class on each line.
    baud : int, optional
        Bits per second, where they are not those of the folder's board.
    **options
        Of `weft.Device`: `load`, `reconnect`, ...
    """
    program = read_program(folder)
    samples = read_samples(inputs, program.network)
    check_output(output)
    baud = baud or board_baud(program, folder)
    with (
        open_device(port, program, labels=labels, baud=baud, **options) as device,
        step(f"running on {port}") as running,
    ):
        result = device.run(
            samples, dequantize=False,
            progress=lambda what, done, total: running.progress(done, total),
        )  # fmt: skip
    write_samples(output, result.outputs)
    return Ran(str(output), result.cycles, result.labels)


def run_self_test(folder: Path, *, port: str, **options: Any) -> SelfTested:
    """Put a board to the test: see `weft.Device.self_test`.

    Parameters
    ----------
    folder, port, options
        As of `run`.
    """
    with open_device(port, folder, **options) as device, step(f"testing {port}") as running:
        result = device.self_test(progress=lambda what, done, total: running.progress(done, total))
        running.note("passed" if result.holds else "FAILED")
    return result


def run_layer_cycles(folder: Path, *, port: str, **options: Any) -> LayersRan:
    """The cycles of every layer on a board: see `weft.Device.layer_cycles`.

    Parameters
    ----------
    folder, port, options
        As of `run`.
    """
    with open_device(port, folder, **options) as device, step(f"timing {port}") as running:
        layers = device.layer_cycles(lambda what, done, total: running.progress(done, total))
    return LayersRan(port, tuple(layers))


@contextmanager
def open_device(port: str, model: Path | Program, **options: Any) -> Iterator[Device]:
    """The board on a serial port; it is said where one is simulated, since that takes time."""
    if port == SIMULATED:
        with step("building the simulated board"):
            device = Device(port, model, **options)
    else:
        device = Device(port, model, **options)
    with device:
        yield device
