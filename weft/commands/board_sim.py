"""``weft board-sim``: a board in the simulator, for programs that talk to boards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from weft.compiler.program import Program
from weft.console import say, step
from weft.models import read_program
from weft.simulated_board import SimulatedBoard


@dataclass(frozen=True)
class Simulated:
    """A simulated board that is running.

    Parameters
    ----------
    port : str
        The pseudo-terminal on which it answers.
    folder : str
    config_digest, program_digest : str
    """

    port: str
    folder: str
    config_digest: str
    program_digest: str

    holds = True

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return asdict(self)

    def show(self) -> None:
        """Print it for a person."""
        say(f"a simulated board is on {self.port}, with program {self.program_digest}")
        say(f"weft run {self.folder} --port {self.port} --inputs X.npz -o Y.npz")
        say("Ctrl-C switches it off")


@contextmanager
def board_sim(folder: Path) -> Iterator[tuple[SimulatedBoard, Simulated]]:
    """A simulated board with what the bitstream of a compiled folder would give it.

    Parameters
    ----------
    folder : Path
        What `compile_model` wrote.

    Yields
    ------
    The board, and what it is.
    """
    program = read_program(folder)
    with _flashed(program) as board:
        digests = (program.config.digest, program.digest)
        yield board, Simulated(board.port, str(folder), *digests)


def _flashed(program: Program) -> SimulatedBoard:
    with step("building the simulated board"):
        return SimulatedBoard(program.config, program)
