"""``weft profile``: the cycles of every layer, estimated and simulated, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from weft.commands.levels import run_level
from weft.compiler.edges import encode_inputs
from weft.compiler.program import Program
from weft.compiler.roofline import LayerTime, layer_times
from weft.console import WIDTH, say, short, step, table, wrap
from weft.errors import InputError
from weft.models import VERILOG, read_program, read_samples

#: Levels that have a clock.
TIMED = ("rtl", "verilog")

#: Kinds of file that the plot can be.
PLOTS = (".png", ".svg")


@dataclass(frozen=True, kw_only=True)
class LayerProfile:
    """A layer's cycles, as the compiler says and as a simulation has shown.

    Parameters
    ----------
    time : LayerTime
        Its bound, from the instructions.
    estimated : int
        What the compiler wrote down.
    simulated : int
    utilization : float
        ``macs / (multipliers * simulated)``.
    """

    time: LayerTime
    estimated: int
    simulated: int
    utilization: float

    @property
    def equal(self) -> bool:
        """The compiler was right."""
        return self.estimated == self.simulated

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return {
            "name": self.time.name,
            "op": self.time.op,
            "macs": self.time.macs,
            "estimated": self.estimated,
            "simulated": self.simulated,
            "equal": self.equal,
            "utilization": self.utilization,
            "bound": self.time.bound,
            "ideal": asdict(self.time.ideal),
        }


@dataclass(frozen=True, kw_only=True)
class Profiled:
    """All layers in one simulated inference.

    Parameters
    ----------
    folder : str
    level : str
    simulator : str or None
        At the level "verilog".
    samples : int
        Inferences simulated.
    sample : int
        The one shown: the first that is not as estimated, or the first.
    multipliers : int
    layers : tuple of LayerProfile
    plot : str or None
        The file it was drawn into.
    """

    folder: str
    level: str
    simulator: str | None
    samples: int
    sample: int
    multipliers: int
    layers: tuple[LayerProfile, ...]
    plot: str | None = None

    @property
    def holds(self) -> bool:
        """Every layer of every sample took the cycles that were estimated."""
        return all(layer.equal for layer in self.layers)

    @property
    def estimated(self) -> int:
        """Cycles of an inference."""
        return sum(layer.estimated for layer in self.layers)

    @property
    def simulated(self) -> int:
        """The same, in the simulation."""
        return sum(layer.simulated for layer in self.layers)

    @property
    def utilization(self) -> float:
        """Of the array, in the simulation."""
        macs = sum(layer.time.macs for layer in self.layers)
        return macs / (self.multipliers * self.simulated)

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return {
            "folder": self.folder,
            "level": self.level,
            "simulator": self.simulator,
            "samples": self.samples,
            "sample": self.sample,
            "equal": self.holds,
            "estimated": self.estimated,
            "simulated": self.simulated,
            "multipliers": self.multipliers,
            "utilization": self.utilization,
            "layers": [layer.to_json() for layer in self.layers],
            "plot": self.plot,
        }

    def show(self) -> None:
        """Print it for a person."""
        heads = ["estimated", "simulated"] + ["differs"] * (not self.holds) + ["used", "bound"]
        room = WIDTH - sum(3 + max(len(head), 9) for head in heads)
        rows = []
        for layer in self.layers:
            row: list[object] = [short(layer.time.name, room), layer.estimated, layer.simulated]
            if not self.holds:
                row.append(None if layer.equal else f"{layer.simulated - layer.estimated:+,}")
            rows.append([*row, f"{layer.utilization:.0%}", layer.time.bound])
        table(["layer", *heads], rows)
        where = self.level if self.simulator is None else f"{self.level} in {self.simulator}"
        say(
            f"{self.simulated:,} cycles ({where}), estimated {self.estimated:,}, "
            f"utilization {self.utilization:.1%}"
        )
        if self.holds:
            count = f"all {self.samples} samples" if self.samples > 1 else "the sample"
            say(f"every layer of {count} took the cycles that were estimated")
        else:
            wrong = sum(not layer.equal for layer in self.layers)
            say(wrap(
                f"in sample {self.sample}, {wrong} of {len(self.layers)} layers did not take the "
                "cycles that were estimated: the program is of another version of the core; "
                "compile the model again"
            ))  # fmt: skip
        if self.plot is not None:
            say(f"plot written to {self.plot}")


def profile(
    folder: Path,
    inputs: Path,
    *,
    level: str = "verilog",
    simulator: str = "verilator",
    plot: Path | None = None,
) -> Profiled:
    """Simulate a compiled folder and see how long each layer takes.

    Parameters
    ----------
    folder : Path
        What `compile` wrote; its Verilog is what the level "verilog" simulates.
    inputs : Path
        An .npz file with `inputs`; every sample is simulated.
    level : str
        "rtl" or "verilog".
    simulator : str
        "verilator" or "icarus", for the level "verilog".
    plot : Path, optional
        A .png or .svg file to draw it into.

    Raises
    ------
    InputError
        If the level has no clock, or the plot's file will not do.
    RefusedError
        If a tool is missing, or the simulation fails.
    """
    if level not in TIMED:
        raise InputError(f"the level {level!r} has no clock; give {' or '.join(TIMED)}")
    if plot is not None:
        check_plot(plot)
    program = read_program(folder)
    times = layer_times(program)
    network = program.network
    codes = encode_inputs(network, read_samples(inputs, network))
    samples = len(next(iter(codes.values())))
    what = f"simulating {samples} sample{'s' * (samples != 1)}, level {level}"
    with step(what) as running:
        result = run_level(
            level, program, codes, simulator=simulator, verilog_path=folder / VERILOG,
            progress=running.progress, trace=True,
        )  # fmt: skip
    assert result.instruction_cycles is not None
    made = Profiled(
        folder=str(folder),
        level=level,
        simulator=simulator if level == "verilog" else None,
        samples=samples,
        **_shown(program, times, result.instruction_cycles),
        plot=None if plot is None else str(plot),
    )
    if plot is not None:
        from weft.report.cycles import draw_cycles  # noqa: PLC0415 - Matplotlib is slow to import

        draw_cycles(made, plot)
    return made


def check_plot(path: Path) -> None:
    """Refuse a file for a plot before anything is simulated.

    Raises
    ------
    InputError
        If it is neither .png nor .svg, or there is no such folder.
    """
    if path.suffix.lower() not in PLOTS:
        raise InputError(f"{path} is no {' or '.join(PLOTS)} file; give one with --plot")
    if not path.parent.is_dir():
        raise InputError(
            f"there is no folder {path.parent} for the plot; make it, or give another --plot"
        )


def _shown(
    program: Program, times: Sequence[LayerTime], samples: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """The first sample that is not as estimated, or the first of all."""
    owned = program.instructions_of_layers()
    estimated = [int(layer["cycles"]) for layer in program.layers]
    simulated = [[sum(cycles[i] for i in own) for own in owned] for cycles in samples]
    number = next((n for n, found in enumerate(simulated) if found != estimated), 0)
    multipliers = program.config.multipliers
    layers = tuple(
        LayerProfile(
            time=time,
            estimated=said,
            simulated=found,
            utilization=time.macs / (multipliers * found),
        )
        for time, said, found in zip(times, estimated, simulated[number], strict=True)
    )
    return {"sample": number, "multipliers": multipliers, "layers": layers}
