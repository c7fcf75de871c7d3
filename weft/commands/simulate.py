"""``weft simulate``: outputs of a model or a program at one level."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from weft.commands import netlists
from weft.commands.compile import compile_for_array
from weft.commands.levels import run_level
from weft.compiler.compile import macs
from weft.compiler.edges import decode_outputs, encode_inputs
from weft.console import say, step
from weft.errors import InputError
from weft.hw.config import Config
from weft.models import (
    VERILOG,
    TfliteRounding,
    is_folder,
    naming,
    read_network,
    read_program,
    read_samples,
    write_samples,
)
from weft.sim import golden
from weft.sim.verilog.stream import StreamResult

#: The array a model is compiled for when nobody says.
DEFAULT_ARRAY = Config(rows=8, columns=8)


@dataclass(frozen=True)
class Throughput:
    """How fast samples follow one another, loading and reading included.

    Parameters
    ----------
    cycles : list of int
        From the start of each sample to that of the next.
    alone : int
        Per sample where the next one is loaded when the outputs are read.
    """

    cycles: list[int]
    alone: int

    def show(self) -> None:
        """Print it for a person."""
        mean = sum(self.cycles) / len(self.cycles)
        say(
            f"as a stream a sample every {mean:,.0f} cycles, loading and reading included; "
            f"one after the other every {self.alone:,}"
        )


@dataclass(frozen=True)
class Simulated:
    """Outputs and what they took.

    Parameters
    ----------
    level : str
    outputs : str
        The file they are in.
    cycles : list of int, one per sample, or None at the level golden
    multipliers : int or None
        INT8 multipliers of the array; None where the model was not compiled for one.
    macs : int
        Useful multiplications of one inference.
    utilization : float or None
        ``macs / (multipliers * cycles)``, the mean over the samples.
    stream : Throughput or None
        Where the samples ran as a stream.
    """

    level: str
    outputs: str
    cycles: list[int] | None
    multipliers: int | None
    macs: int
    utilization: float | None
    stream: Throughput | None = None

    holds = True

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return asdict(self)

    def show(self) -> None:
        """Print it for a person."""
        say(f"outputs written to {self.outputs} (level {self.level})")
        if self.cycles is not None:
            mean = sum(self.cycles) / len(self.cycles)
            say(
                f"{mean:,.0f} cycles per sample, {self.macs:,} MACs on {self.multipliers} "
                f"multipliers: utilization {self.utilization:.1%}"
            )
        if self.stream is not None:
            self.stream.show()


def simulate(
    source: Path,
    inputs: Path,
    output: Path,
    *,
    level: str = "golden",
    simulator: str = "verilator",
    array: Config | tuple[int, int] | None = None,
    rounding: TfliteRounding | None = None,
    stream: bool = False,
) -> Simulated:
    """Run samples through a quantised model or a compiled folder.

    Parameters
    ----------
    source : Path
        A quantised ONNX or TFLite model, or a folder that `compile` wrote.
    inputs, output : Path
        .npz files with `inputs` to read and `outputs` to write.
    level : str
        "golden", "program", "rtl", "verilog", "netlist" or "routed"; the last two want a folder
        with a finished build.
    simulator : str
        "verilator" or "icarus", for the level "verilog".
    array : Config or (rows, columns), optional
        The array to compile a model for; a folder has its own.
    rounding : str, optional
        Of a TFLite model, as `read_network` takes it; a folder has its own.
    stream : bool
        Load each sample while the one before is computed; for the level "verilog", and a folder
        that is compiled for it.
    """
    if stream and level != "verilog":
        raise InputError(f"a stream runs at level verilog, not at level {level}")
    if level in netlists.LEVELS and not is_folder(source):
        raise InputError(
            f"level {level} simulates what `weft build DIR` made of a folder; give that folder "
            f"instead of {source}"
        )
    program = None
    if is_folder(source):
        if array:
            raise InputError(f"{source} is compiled for an array already; leave --array out")
        if rounding:
            raise InputError(f"{source} is compiled with a rounding already; leave --rounding out")
        program = read_program(source)
        network = program.network
    else:
        network = read_network(source, rounding)
        if level != "golden" or array:
            with naming(str(source)):
                program = compile_for_array(network, array or _default(stream))
    samples = read_samples(inputs, network)
    codes = encode_inputs(network, samples)
    throughput = None
    with step(f"simulating {len(next(iter(codes.values())))} samples, level {level}") as running:
        if program is None:
            outputs, cycles = golden.run_network(network, codes), None
        else:
            verilog = source / VERILOG if is_folder(source) else None
            result = run_level(
                level, program, codes, simulator=simulator, verilog_path=verilog,
                build=source if is_folder(source) else None,
                progress=running.progress, stream=stream,
            )  # fmt: skip
            if isinstance(result, StreamResult):
                throughput = Throughput(result.periods, result.alone)
            outputs, cycles = result.outputs, result.cycles
            if level == "program":  # it has no clock, but every cycle of it is known
                count = sum(layer["cycles"] for layer in program.layers)
                cycles = [count] * len(next(iter(codes.values())))
    write_samples(output, decode_outputs(network, outputs))
    work = macs(network)
    multipliers = program.config.multipliers if program else None
    utilization = None
    if cycles and multipliers:
        utilization = work * len(cycles) / (multipliers * sum(cycles))
    return Simulated(level, str(output), cycles, multipliers, work, utilization, throughput)


def _default(stream: bool) -> Config:
    return replace(DEFAULT_ARRAY, stream=int(stream))
