"""``weft verify``: every level against golden, and golden against reference tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from weft.commands import netlists
from weft.commands.levels import LEVELS, run_layers, run_level
from weft.commands.references import Reference, compare_reference, read_reference
from weft.compiler.edges import encode_inputs
from weft.compiler.network import Network, Port
from weft.compiler.program import Program
from weft.console import say, step, wrap
from weft.models import VERILOG, read_program, read_samples
from weft.netlist_board import check_built
from weft.sim import golden
from weft.sim.engine import Divergence, compare

#: Which samples also run layer by layer.
Layers = Literal["all", "first", "none"]

#: Seconds that the level rtl may take where it is only on the way to the level verilog.
RTL_PATIENCE = 60

#: Cycles a second of Amaranth's simulator, times the multipliers and what else costs time each
#: cycle, in multipliers. Measured in one inference of the digits network at 4 x 4 and 16 x 8:
#: 2,600 and 580 cycles a second; at 8 x 8, where this says 1,040, there were 1,010.
_RTL_SPEED = 84_000
_RTL_BESIDES = 17


@dataclass(frozen=True)
class Verified:
    """What was compared, and the first difference.

    Parameters
    ----------
    samples : int
    levels : tuple of str
    layers : tuple of str
        Tensors compared layer by layer at every level, by the model's own names.
    layer_samples : int
        On how many samples.
    references : tuple of (file, tensors, samples)
        Reference tensors that golden was compared with.
    warnings : tuple of str
    first_divergence : Divergence or None
    cycles : dict of level to tuple of int
        Of every sample, at the levels that have a clock.
    bitstream : str or None
        What was unpacked and is the configuration that was packed, where that was compared.
    """

    samples: int
    levels: tuple[str, ...]
    layers: tuple[str, ...] = ()
    layer_samples: int = 0
    references: tuple[tuple[str, int, int], ...] = ()
    warnings: tuple[str, ...] = ()
    first_divergence: Divergence | None = None
    cycles: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    bitstream: str | None = None

    @property
    def holds(self) -> bool:
        """Whether all are equal."""
        return self.first_divergence is None and self.other_cycles is None

    @property
    def other_cycles(self) -> str | None:
        """Where two levels take different cycles for a sample, said in a sentence."""
        first: tuple[str, tuple[int, ...]] | None = None
        for level, counts in self.cycles.items():
            first = first or (level, counts)
            for sample, (wanted, found) in enumerate(zip(first[1], counts, strict=True)):
                if wanted != found:
                    return (
                        f"{level} takes {found:,} cycles for sample {sample} and {first[0]} "
                        f"{wanted:,}"
                    )
        return None

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        found = self.first_divergence
        return {
            "equal": self.holds,
            "samples": self.samples,
            "levels": list(self.levels),
            "layers": list(self.layers),
            "layer_samples": self.layer_samples,
            "references": [
                {"file": file, "tensors": tensors, "samples": samples}
                for file, tensors, samples in self.references
            ],
            "warnings": list(self.warnings),
            "first_divergence": None if found is None else found.to_json(),
            "cycles": {level: list(counts) for level, counts in self.cycles.items()},
            "bitstream": self.bitstream,
        }

    def show(self) -> None:
        """Print it for a person."""
        for warning in self.warnings:
            say(wrap(warning, "warning: "))
        if self.first_divergence is not None:
            say(f"not equal: {self.first_divergence}")
            return
        if self.other_cycles is not None:
            say(f"not equal: {self.other_cycles}")
            return
        say(f"equal on {_count(self.samples, 'sample')}: {' == '.join(self.levels)}")
        if self.layers:
            say(
                f"layer by layer: {_count(len(self.layers), 'tensor')} equal on "
                f"{_count(self.layer_samples, 'sample')}"
            )
        if self.bitstream is not None:
            say(self.bitstream)
        for file, tensors, samples in self.references:
            say(
                f"golden == {file}: {_count(tensors, 'tensor')} equal on "
                f"{_count(samples, 'sample')}"
            )


def verify(
    folder: Path,
    inputs: Path,
    *,
    level: str = "verilog",
    simulator: str = "verilator",
    layers: Layers = "all",
    references: Sequence[Path] = (),
) -> Verified:
    """Compare every level up to `level` with golden, up to the first difference.

    Parameters
    ----------
    folder : Path
        What `compile` wrote; its Verilog is what the level "verilog" simulates.
    inputs : Path
        An .npz file with `inputs`.
    level : str
        The last level: "golden", "program", "rtl", "verilog", "netlist" or "routed".
    simulator : str
        "verilator" or "icarus".
    layers : str
        Beside whole inferences, which show outputs alone, run each layer by itself and compare
        every tensor: on "all" samples, on the "first", or on "none". At the levels "netlist" and
        "routed", where every byte of a tensor takes hundreds of cycles, the layers are run where an
        output differs.
    references : sequence of Path
        .npz files with tensors of the first samples, by the model's names or numbers, which
        golden's must equal.
    """
    program = read_program(folder)
    network = program.network
    if level in netlists.LEVELS:
        check_built(folder, program)
    codes = encode_inputs(network, read_samples(inputs, network))
    samples = len(next(iter(codes.values())))
    known = [read_reference(Path(path), network) for path in references]
    with step(f"golden, {_count(samples, 'sample')}") as running:
        outputs = golden.run_network(network, codes)
        found = _first_difference(network, codes, known)
        running.note("" if found is None else "not equal")
    levels = [*LEVELS[1 : LEVELS.index(level) + 1]] if found is None else []
    engines = _Engines(program, codes, outputs, simulator, folder)
    chosen = {"all": samples, "first": 1, "none": 0}[layers]
    warnings = [_warning(reference) for reference in known if reference.unknown]
    seconds = rtl_seconds(program, samples + chosen)
    if "rtl" in levels[:-1] and seconds > RTL_PATIENCE:
        levels.remove("rtl")
        warnings.append(
            f"the level rtl is left out: Amaranth's simulator would take about "
            f"{seconds / 60:,.0f} minutes, and the level verilog runs the same gateware; "
            "--level rtl runs it all the same"
        )
    done: list[str] = []
    for name in levels:
        done.append(name)
        found = engines.whole(name)
        # Where outputs differ, the layers of that sample say where it begins.
        picked = set() if found is None or not chosen else {found.index[0]}
        if name not in netlists.LEVELS:
            picked |= {*range(chosen)}
        if picked:
            found = engines.by_layers(name, sorted(picked)) or found
        if found is not None:
            found = _named(network, found)
            break
    bitstream = None
    if "routed" in done and found is None:
        with step("unpacking the bitstream"):
            bitstream = netlists.compare_bitstream(folder)
    return Verified(
        samples=samples,
        levels=("golden", *done),
        layers=tuple(_names(network, engines.compared)),
        layer_samples=chosen if engines.compared else 0,
        references=tuple(_summary(reference, samples) for reference in known),
        warnings=tuple(warnings),
        first_divergence=found,
        cycles=engines.cycles,
        bitstream=bitstream,
    )


def rtl_seconds(program: Program, runs: int) -> float:
    """About how long Amaranth's simulator takes, on an ordinary machine."""
    cycles = sum(layer["cycles"] for layer in program.layers)
    return runs * cycles * (program.config.multipliers + _RTL_BESIDES) / _RTL_SPEED


class _Engines:
    """The levels below golden, on the samples of one verification."""

    def __init__(
        self,
        program: Program,
        codes: Mapping[str, np.ndarray],
        outputs: Mapping[str, np.ndarray],
        simulator: str,
        folder: Path,
    ):
        self.compared: list[str] = []  # tensors, layer by layer
        self.cycles: dict[str, tuple[int, ...]] = {}
        self._program = program
        self._codes = codes
        self._outputs = outputs
        self._simulator = simulator
        self._folder = folder

    def whole(self, level: str) -> Divergence | None:
        """Compare the outputs of whole inferences."""
        count = len(next(iter(self._codes.values())))
        with step(f"{level}, {_count(count, 'sample')}") as running:
            result = run_level(
                level, self._program, self._codes, simulator=self._simulator,
                verilog_path=self._folder / VERILOG, build=self._folder, progress=running.progress,
            )  # fmt: skip
            found = compare(self._outputs, result.outputs, level=level)
            if result.cycles is not None:
                self.cycles[level] = tuple(result.cycles)
            running.note("equal" if found is None else "not equal")
        return found

    def by_layers(self, level: str, samples: Sequence[int]) -> Divergence | None:
        """Compare every tensor of some samples."""
        codes = _part(self._codes, samples)
        expected = golden.run_network(self._program.network, codes, keep=True)
        with step(f"{level}, {_count(len(samples), 'sample')} layer by layer") as running:
            result = run_layers(
                level, self._program, codes, simulator=self._simulator,
                verilog_path=self._folder / VERILOG, build=self._folder, progress=running.progress,
            )  # fmt: skip
            assert result.tensors is not None
            self.compared = [name for name in expected if name in result.tensors]
            found = compare(expected, result.tensors, level=level, names=self.compared)
            running.note("equal" if found is None else "not equal")
        if found is None:
            return None
        return replace(found, index=(samples[found.index[0]], *found.index[1:]))


def _part(codes: Mapping[str, np.ndarray], samples: Sequence[int]) -> dict[str, np.ndarray]:
    return {name: array[list(samples)] for name, array in codes.items()}


def _first_difference(
    network: Network, codes: Mapping[str, np.ndarray], references: Sequence[Reference]
) -> Divergence | None:
    for reference in references:
        count = min(reference.samples, len(next(iter(codes.values()))))
        tensors = golden.run_network(network, _part(codes, range(count)), keep=True)
        found = compare_reference(network, reference, tensors)
        if found is not None:
            return found
    return None


def _names(network: Network, tensors: Sequence[str]) -> list[str]:
    """The model's own names."""
    own = _own_ports(network)
    return [own[name].name if name in own else name for name in tensors]


def _named(network: Network, found: Divergence) -> Divergence:
    port = _own_ports(network).get(found.tensor)
    return found if port is None else replace(found, name=port.name, number=port.number)


def _own_ports(network: Network) -> dict[str, Port]:
    """By tensor: the model's own name for it, the first where it is seen in several shapes."""
    return {port.tensor: port for port in reversed(network.activations)}


def _summary(reference: Reference, samples: int) -> tuple[str, int, int]:
    return (str(reference.path), len(reference.tensors), min(reference.samples, samples))


def _warning(reference: Reference) -> str:
    keys = ", ".join(repr(key) for key in reference.unknown)
    return f"{reference.path}: the network has no tensor {keys}, which is not compared"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
