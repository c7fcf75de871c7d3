"""``weft verify``: every level against golden."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.commands.levels import LEVELS, run_level
from weft.compiler.edges import encode_inputs
from weft.console import say, step
from weft.models import VERILOG, read_program, read_samples
from weft.sim.engine import Divergence, compare


@dataclass(frozen=True)
class Verified:
    """Which levels were compared, and where the first of them parts from golden."""

    samples: int
    levels: tuple[str, ...]
    first_divergence: Divergence | None

    @property
    def holds(self) -> bool:
        """Every level equals golden."""
        return self.first_divergence is None

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        found = self.first_divergence
        return {
            "equal": self.holds,
            "levels": list(self.levels),
            "first_divergence": None if found is None else found.to_json(),
        }

    def show(self) -> None:
        """Print it for a person."""
        if self.first_divergence is None:
            say(f"equal on {self.samples} samples: {' == '.join(self.levels)}")
        else:
            say(f"not equal: {self.first_divergence}")


def verify(
    folder: Path, inputs: Path, *, level: str = "verilog", simulator: str = "verilator"
) -> Verified:
    """Compare every level up to `level` with golden, up to the first difference.

    Parameters
    ----------
    folder : Path
        What `compile` wrote; its Verilog is what the level "verilog" simulates.
    inputs : Path
        An .npz file with `inputs`.
    level : str
        The last level: "golden", "program", "rtl" or "verilog".
    simulator : str
        "verilator" or "icarus".
    """
    program = read_program(folder)
    codes = encode_inputs(program.network, read_samples(inputs, program.network))
    samples = len(next(iter(codes.values())))
    expected: dict[str, Any] = {}
    done: list[str] = []
    for name in LEVELS[: LEVELS.index(level) + 1]:
        with step(f"{name}, {samples} samples") as running:
            result = run_level(
                name, program, codes, simulator=simulator, verilog_path=folder / VERILOG,
                progress=running.progress,
            )  # fmt: skip
            done.append(name)
            if name == "golden":
                expected = result.tensors or result.outputs
                continue
            found = compare(expected, result.tensors or result.outputs, level=name)
            running.note("equal" if found is None else "not equal")
        if found is not None:
            return Verified(samples, tuple(done), found)
    return Verified(samples, tuple(done), None)
