"""``weft run``: samples through a board."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from weft.commands.board_sim import open_device
from weft.compiler.edges import decode_outputs, encode_inputs
from weft.console import say, step
from weft.models import read_program, read_samples, write_samples


@dataclass(frozen=True)
class Ran:
    """Outputs of a board.

    Parameters
    ----------
    outputs : str
        The file they are in.
    cycles : list of int
        As the core counts them, one per sample.
    """

    outputs: str
    cycles: list[int]

    holds = True

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return asdict(self)

    def show(self) -> None:
        """Print it for a person."""
        mean = sum(self.cycles) / len(self.cycles)
        say(f"outputs written to {self.outputs}, {mean:,.0f} cycles per sample")


def run(folder: Path, inputs: Path, output: Path, *, port: str) -> Ran:
    """Run samples on a board that is flashed with this folder's bitstream.

    Parameters
    ----------
    folder : Path
        What `compile_model` wrote.
    inputs, output : Path
        .npz files with `inputs` to read and `outputs` to write.
    port : str
        The board's serial port; ``"sim"`` is a simulated board that is started for it.
    """
    program = read_program(folder)
    codes = encode_inputs(program.network, read_samples(inputs, program.network))
    with open_device(port, program) as device, step(f"running on {port}") as running:
        result = device.run(
            program, codes, progress=lambda what, done, total: running.progress(done, total)
        )
    write_samples(output, decode_outputs(program.network, result.outputs))
    return Ran(str(output), result.cycles)
