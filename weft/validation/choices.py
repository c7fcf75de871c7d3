"""The same float model quantised in several ways, and the hardware that each one takes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from weft.boards.registry import find_board
from weft.compiler.calibrate import collect, kept_tensors
from weft.compiler.calibration_samples import Samples
from weft.compiler.calibrators import Calibrator, parse_calibrator
from weft.compiler.collect_bits import BitCollector
from weft.compiler.compile import fit, with_parts
from weft.compiler.network import Network
from weft.console import Step
from weft.errors import InputError, UnsupportedError
from weft.hw.area import MARGIN, Area, Family, estimate_area
from weft.hw.config import Config
from weft.models import FloatModel
from weft.repairing.repair import Choices, chosen_repairs, repair_network
from weft.repairing.samples import HeldSamples, hold
from weft.validation.result import Hardware

#: The array where nobody says which, and the family that it is in.
ARRAY = Config(rows=8, columns=8)
FAMILY: Family = "ecp5"


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way to quantise.

    Parameters
    ----------
    name, options : str
        As of `Choice`.
    network : Network or None
        None where `problem` says why there is none.
    problem : str
    """

    name: str
    options: str
    network: Network | None
    problem: str = ""


def make_candidates(
    real: FloatModel, samples: Samples, calibrator: Calibrator, running: Step
) -> list[Candidate]:
    """Shift per tensor, shift per channel and multiplier scales from one calibration.

    Each is what ``weft quantize`` makes by the candidate's options.
    """
    graph = real.graph
    arrays, samples = hold(graph, samples)
    seen = collect(
        real.runs, graph, samples, kept_tensors(graph),
        kind=BitCollector, progress=running.progress,
    )  # fmt: skip
    repairs = chosen_repairs(None, calibrator, len(arrays[graph.inputs[0]]))
    more = "" if calibrator.name == "minmax" else f" --calibrator {calibrator}"
    shift = f"--scales shift{more}"

    def candidate(name: str, options: str, choices: Choices) -> Candidate:
        running.stage(name)
        try:
            scales = choices.scales(graph, seen)
            network = choices.network(graph, scales)
            if repairs:
                network, _ = repair_network(
                    network, HeldSamples(graph, arrays), repairs,
                    lambda: choices.network(graph, scales, "mse"),
                )  # fmt: skip
        except UnsupportedError as error:
            return Candidate(name, options, None, str(error.problems[0]))
        return Candidate(name, options, network)

    return [
        candidate("shift per tensor", shift, Choices(calibrator)),
        candidate(
            "shift per channel", f"{shift} --per-channel", Choices(calibrator, per_channel=True)
        ),
        candidate(
            "multiplier", "--scales multiplier",
            Choices(parse_calibrator("minmax"), multiplies=True),
        ),
    ]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Place:
    """Where the choices would run: a board's array, or one whose memories fit.

    Parameters
    ----------
    name : str
    config : Config
    family : str
    fitted : bool
        Whether memories are made as deep as a network needs.
    """

    name: str
    config: Config
    family: Family
    fitted: bool

    @property
    def hardware(self) -> Hardware:
        """What the areas are of."""
        config = self.config
        return Hardware(
            self.name, config.rows, config.columns, config.lanes, self.family, MARGIN[self.family]
        )

    def area(self, network: Network) -> tuple[Area | None, str]:
        """What a network's array takes, or why it cannot run there."""
        config = replace(self.config, elementwise=0)
        shifts = with_parts(network, replace(config, multiplier_bits=0)).multiplier_bits == 0
        config = with_parts(network, replace(config, multiplier_bits=0) if shifts else config)
        try:
            config = fit(network, config) if self.fitted else config
            return estimate_area(config, self.family), ""
        except UnsupportedError as error:
            return None, str(error.problems[0])


def find_place(board: str | None, array: Config | tuple[int, int] | None) -> Place:
    """The array of a board, one of one's own, or `ARRAY`.

    Raises
    ------
    InputError
        If both are given, or there is no such board.
    """
    if board is not None:
        if array is not None:
            raise InputError("give either a board or an array, not both")
        found = find_board(board)
        return Place(found.title, found.config, found.family, False)
    if array is None:
        array = ARRAY
    elif isinstance(array, tuple):
        array = Config(rows=array[0], columns=array[1])
    return Place(f"an array of {array.rows} x {array.columns}", array, FAMILY, True)
