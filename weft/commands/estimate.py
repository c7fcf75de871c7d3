"""``weft estimate``: whether a model fits, how fast it runs and what that takes, unbuilt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from weft.boards.board import Board
from weft.boards.capacity import misfits
from weft.boards.fmax import Fmax, estimate_fmax, unknown_because
from weft.boards.registry import BOARDS, find_board
from weft.commands.compile import compile_for_array, fitting, try_boards, with_remedies
from weft.commands.estimate_show import show_estimates
from weft.compiler.compile import macs, problems_of
from weft.compiler.network import Network
from weft.compiler.program import Program
from weft.compiler.roofline import LayerTime, layer_times
from weft.errors import Problem, UnsupportedError
from weft.hw.area import MARGIN, Area, estimate_area
from weft.hw.config import Config
from weft.models import TfliteRounding, naming, read_network


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A model on one configuration of one board.

    Parameters
    ----------
    board : Board
    config : Config or None
        What the figures are of: the first of the board's own that the model fits, else the
        array of its first with memories and parts for the model. None where no memories would do.
    asked : bool
        The array is not the board's own but one that was asked for.
    reasons : tuple of Problem
        Why the model does not fit; none where it does.
    layers : tuple of LayerTime
    macs : int
        Useful multiplications of one inference.
    area : Area or None
        Of the core alone, without the link.
    fmax : Fmax or None
        None where nothing is known of the FPGA's clock: `weft.boards.fmax.unknown_because`.
    """

    board: Board
    config: Config | None
    asked: bool
    reasons: tuple[Problem, ...]
    layers: tuple[LayerTime, ...]
    macs: int
    area: Area | None
    fmax: Fmax | None

    @property
    def fits(self) -> bool:
        """The model runs on the board with this configuration."""
        return not self.reasons

    @property
    def configuration(self) -> str | None:
        """Which of the board's own configurations it is: ``"config"``, ``"large"`` or none."""
        return None if self.config is None else self.board.name_of(self.config)

    @property
    def cycles(self) -> int | None:
        """Cycles of one inference."""
        return sum(layer.cycles for layer in self.layers) if self.layers else None

    @property
    def utilization(self) -> float | None:
        """``macs / (multipliers * cycles)``."""
        if self.config is None or self.cycles is None:
            return None
        return self.macs / (self.config.multipliers * self.cycles)

    @property
    def latency_ms(self) -> float | None:
        """Cycles at Fmax."""
        if self.fmax is None or self.cycles is None:
            return None
        return self.cycles / self.fmax.mhz / 1000

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        board, config, area, fmax = self.board, self.config, self.area, self.fmax
        return {
            "board": board.name,
            "config": None if config is None else asdict(config),
            "config_digest": None if config is None else config.digest,
            "configuration": self.configuration,
            "own_config": self.configuration is not None,
            "fits": self.fits,
            "reasons": [asdict(reason) for reason in self.reasons],
            "cycles": self.cycles,
            "macs": self.macs,
            "multipliers": None if config is None else config.multipliers,
            "utilization": self.utilization,
            "luts": None if area is None else area.lut4,
            "luts_margin": MARGIN[board.family],
            "multiplier_blocks": None if area is None else area.multipliers,
            "block_rams": None if area is None else area.block_rams,
            "fmax_mhz": None if fmax is None else fmax.mhz,
            "fmax_margin": None if fmax is None else fmax.margin,
            "fmax_builds": 0 if fmax is None else fmax.builds,
            "fmax_reason": None if config is None else unknown_because(config, board),
            "fmax_recorded": fmax is not None and fmax.recorded,
            "fmax_unseen": [] if fmax is None else list(fmax.unseen),
            "latency_ms": self.latency_ms,
            "target_mhz": board.target_mhz,
            "device": {
                "name": board.device,
                "luts": board.luts,
                "multiplier_blocks": board.multiplier_blocks,
                "block_rams": board.block_rams,
            },
            "layers": [layer.to_json() for layer in self.layers],
        }


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """A model on every board, or on every array of every board, that was asked for.

    Parameters
    ----------
    model : str
    boards : tuple of Estimate
    named : bool
        The boards were named: the model must fit each; else one is enough.
    """

    model: str
    boards: tuple[Estimate, ...]
    named: bool

    @property
    def holds(self) -> bool:
        """The model fits where it was asked to."""
        fits = [estimate.fits for estimate in self.boards]
        return all(fits) if self.named else any(fits)

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return {"model": self.model, "boards": [estimate.to_json() for estimate in self.boards]}

    def show(self) -> None:
        """Print it for a person."""
        show_estimates(self.model, self.boards)


def estimate(
    model: Path,
    *,
    boards: Sequence[str] = (),
    arrays: Sequence[Config | tuple[int, int]] = (),
    rounding: TfliteRounding | None = None,
) -> Estimated:
    """Say what a quantised model takes on boards, without building anything.

    Parameters
    ----------
    model : Path
        A quantised ONNX or TFLite model.
    boards : sequence of str, optional
        Names; all boards by default. Of a board's configurations the one that `compile_model`
        takes.
    arrays : sequence of Config or (rows, columns), optional
        Instead of each board's own configuration, with memories to fit.
    rounding : str, optional
        Of a TFLite model, as `read_network` takes it.

    Raises
    ------
    RefusedError
        If it is a float model.
    UnsupportedError
        If no configuration could run the model.
    """
    chosen = list(dict.fromkeys(BOARDS if not boards else (find_board(b).name for b in boards)))
    network = read_network(model, rounding)
    with naming(str(model)):
        if arrays:
            found = [
                _with_array(network, BOARDS[name], array) for name in chosen for array in arrays
            ]
        else:
            found = _with_own(network, chosen)
    return Estimated(model=str(model), boards=tuple(found), named=bool(boards))


def _with_own(network: Network, chosen: Sequence[str]) -> list[Estimate]:
    """On what each board's own configurations make of it, or an array with all that is missing."""
    tried = try_boards(network, [BOARDS[name] for name in chosen])
    fits = {name for name, outcome in tried.items() if isinstance(outcome, Program)}
    if len(fits) < len(tried):
        problems = problems_of(network)
        if problems:
            raise UnsupportedError(network.name, problems)
        # Where it fits is what the remedies say.
        fits |= set(fitting(network, [BOARDS[name] for name in BOARDS if name not in tried]))
    others = [name for name in BOARDS if name in fits]
    return [_of_outcome(network, BOARDS[name], outcome, others) for name, outcome in tried.items()]


def _of_outcome(
    network: Network, board: Board, outcome: Program | UnsupportedError, others: list[str]
) -> Estimate:
    if isinstance(outcome, Program):
        return _estimate(network, board, outcome, ())
    reasons = with_remedies(outcome.problems, others)
    try:
        program = compile_for_array(network, board.config)
    except UnsupportedError as error:
        known = [reason.reason for reason in reasons]
        more = [problem for problem in error.problems if problem.reason not in known]
        return _estimate(network, board, None, (*reasons, *more))
    return _estimate(network, board, program, reasons)


def _with_array(network: Network, board: Board, array: Config | tuple[int, int]) -> Estimate:
    """An array on a board's FPGA: what may be missing there is cells."""
    program = compile_for_array(network, array)
    return _estimate(network, board, program, misfits(program.config, board), asked=True)


def _estimate(
    network: Network,
    board: Board,
    program: Program | None,
    reasons: Sequence[Problem],
    *,
    asked: bool = False,
) -> Estimate:
    config = None if program is None else program.config
    return Estimate(
        board=board,
        config=config,
        asked=asked,
        reasons=tuple(reasons),
        layers=() if program is None else tuple(layer_times(program)),
        macs=macs(network),
        area=None if config is None else estimate_area(config, board.family),
        fmax=None if config is None else estimate_fmax(config, board),
    )
