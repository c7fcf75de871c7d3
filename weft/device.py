"""A board that runs a compiled model, in the model's own arrays."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from weft.boards.driver import Driver, Identity, Progress, State
from weft.boards.exchange import DEFAULT_BAUD
from weft.boards.layer_runs import run_layers
from weft.boards.registry import BOARDS, find_board
from weft.compiler.edges import decode_outputs, quantize_input
from weft.compiler.network import Network
from weft.compiler.program import Program
from weft.errors import InputError, WeftError
from weft.labels import check_labels, classify
from weft.models import BUILD, SUMMARY, read_program
from weft.simulated_board import SIMULATED, SimulatedBoard

if TYPE_CHECKING:
    from weft.commands.compile import Compiled
    from weft.self_test import SelfTested

#: Seconds that a board takes to answer, and an inference at the most; and those of a simulated
#: board on a machine that does other things.
ANSWER, INFERENCE = 1.0, 10.0
SIMULATED_ANSWER, SIMULATED_INFERENCE = 30.0, 3600.0


@dataclass(frozen=True, eq=False)
class Inference:
    """What a board made of some samples.

    Parameters
    ----------
    outputs : dict of output name to array, shape (N, *the model's own)
    cycles : list of int
        As the core counts them, one per sample.
    classes : int64 array, shape (N,), or None
        Where the largest value of each sample's output is, for a model with one output.
    labels : list of str or None
        The names of these, where the device has been given names.
    """

    outputs: dict[str, np.ndarray]
    cycles: list[int]
    classes: np.ndarray | None
    labels: list[str] | None

    @property
    def output(self) -> np.ndarray:
        """The model's only output.

        Raises
        ------
        InputError
            If there are several.
        """
        if len(self.outputs) != 1:
            names = ", ".join(repr(name) for name in self.outputs)
            raise InputError(f"the model has several outputs; take one of outputs: {names}")
        return next(iter(self.outputs.values()))


@dataclass(frozen=True)
class LayerCycles:
    """A layer's cycles, as the compiler says and as the board has counted.

    Parameters
    ----------
    name, op : str
    estimated, measured : int
    """

    name: str
    op: str
    estimated: int
    measured: int

    @property
    def equal(self) -> bool:
        """The compiler was right."""
        return self.estimated == self.measured


class Device:
    """A board with a compiled model; a context manager.

    The program is loaded over the link where the board has another one in its memories.

    Parameters
    ----------
    port : str
        The board's serial port; ``"sim"`` is a simulated board of its own, which is switched off
        with the device.
    model : Path, str, Program or Compiled
        The folder that ``weft compile`` wrote, or what it holds.
    labels : sequence of str, or Path or str, optional
        Names of the classes, or a text file with one on each line.
    baud : int, optional
        Bits per second; by default those that the folder was built for, or else its board's.
    load : bool
        Load the program where the board has another one; otherwise that is refused, and both
        are named.
    timeout : float, optional
        Seconds to wait for an answer, beyond the time the bytes themselves take.
    limit : float, optional
        Seconds an inference may take before the core counts as stuck.
    reconnect : float
        Seconds that a run waits for a board that was unplugged or reset or is silent, to go on
        with the sample that it was at. With 0 the run ends with an error; the next one opens the
        port again.

    Raises
    ------
    InputError
        If there is no such port or folder, no permission, or the labels do not fit.
    RefusedError
        If another program has the port.
    """

    def __init__(
        self,
        port: str,
        model: Path | str | Program | Compiled,
        *,
        labels: Sequence[str] | Path | str | None = None,
        baud: int | None = None,
        load: bool = True,
        timeout: float | None = None,
        limit: float | None = None,
        reconnect: float = 0.0,
    ):
        self.program, folder = _program_of(model)
        network = self.program.network
        self.labels = None if labels is None else check_labels(labels, network)
        self._load = load
        self._board: SimulatedBoard | None = None
        answer, inference = ANSWER, INFERENCE
        if port == SIMULATED:
            self._board = SimulatedBoard(self.program.config, self.program)
            port = self._board.port
            answer, inference = SIMULATED_ANSWER, SIMULATED_INFERENCE
        try:
            self.driver = Driver(
                port,
                baud=board_baud(self.program, folder) if baud is None else baud,
                timeout=answer if timeout is None else timeout,
                limit=inference if limit is None else limit,
                reconnect=reconnect,
            )
        except BaseException:
            self._switch_off()
            raise

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the port, and switch a simulated board of its own off."""
        self.driver.close()
        self._switch_off()

    def _switch_off(self) -> None:
        if self._board is not None:
            self._board.close()
            self._board = None

    @property
    def port(self) -> str:
        """What messages call the port."""
        return self.driver.name

    def identify(self) -> Identity:
        """Ask the board for protocol version, configuration and program."""
        return self.driver.identify()

    def status(self) -> State:
        """Ask the board what its core is doing."""
        return self.driver.status()

    def prepare(self, progress: Progress | None = None) -> None:
        """See to it that the board has the program: what `run` does first.

        Raises
        ------
        RefusedError
            If the board has another configuration; or another program, and may not be loaded.
        """
        if self._load:
            self.driver.load(self.program, progress=progress)
        else:
            self.driver.require(self.program)

    def run(
        self,
        inputs: np.ndarray | Mapping[str, np.ndarray],
        *,
        dequantize: bool | None = None,
        progress: Progress | None = None,
    ) -> Inference:
        """Run samples.

        Parameters
        ----------
        inputs : array (N, *the model's own shape), or mapping of input name to such arrays
            The array alone where the model has one input. Of the model's own type; an int8 input
            takes real values as well, as an array of any float type, and quantises them by its
            scale and zero point, ties away from zero.
        dequantize : bool, optional
            Return real values of int8 outputs: by default where an int8 input was given real
            values. Without it outputs have the model's own type.
        progress : callable, optional
            Called with what is being done (``"load"`` or ``"run"``), how much of it is done, and
            how much there is.

        Raises
        ------
        InputError
            If an array has the wrong name, shape or type, or values that are not finite.
        GoneError
            If the board goes away, and does not return in time.
        RefusedError
            If the board is not the program's, does not answer, or its core is stuck.
        """
        codes, real = _encode(self.program.network, inputs)
        result = self.driver.run(self.program, codes, load=self._load, progress=progress)
        network = self.program.network
        if real if dequantize is None else dequantize:
            network = _in_real_values(network)
        outputs = decode_outputs(network, result.outputs)
        classes = classify(outputs) if len(outputs) == 1 else None
        labels = None
        if self.labels is not None and classes is not None:
            labels = [self.labels[number] for number in classes]
        return Inference(outputs, result.cycles, classes, labels)

    def layer_cycles(self, progress: Progress | None = None) -> list[LayerCycles]:
        """The cycles of each layer, counted by the board's core, beside the compiler's.

        The board runs the program once for each layer, up to the layer's end; cycles do not
        depend on data.

        Raises
        ------
        RefusedError
            As `run`.
        """
        self.prepare(progress)
        runs = run_layers(
            self.driver, self.program,
            progress=None if progress is None else lambda done, total: progress("run", done, total),
        )  # fmt: skip
        return [
            LayerCycles(layer["name"], layer["op"], int(layer["cycles"]), run.cycles)
            for layer, run in zip(self.program.layers, runs, strict=True)
        ]

    def self_test(
        self, *, seed: int = 0, samples: int = 2, progress: Progress | None = None
    ) -> SelfTested:
        """Compare the board with golden: its activation memory, outputs and cycles.

        Random samples run on the board, and their outputs are compared with those that golden
        computes here. Where they differ, the layers of the first such sample are run and
        compared one by one.

        Parameters
        ----------
        seed : int
            Of the memory's patterns and the samples.
        samples : int

        Raises
        ------
        RefusedError
            As `run`; a board that computes something else is told by the result.
        """
        from weft.self_test import self_test  # noqa: PLC0415 - golden is not needed to run

        return self_test(self, seed=seed, samples=samples, progress=progress)


def _program_of(model: Path | str | Program | Compiled) -> tuple[Program, Path | None]:
    """The program, and the folder that it came from."""
    if isinstance(model, Program):
        return model, None
    if isinstance(model, str | Path):
        return read_program(Path(model)), Path(model)
    return model.program, model.folder


def board_baud(program: Program, folder: Path | None = None) -> int:
    """Bits per second that a folder was built for, or else of the board it was compiled for.

    Raises
    ------
    InputError
        If the folder has a build.json that does not say.
    """
    if folder is not None:
        built = _built_baud(program, folder / BUILD)
        if built is not None:
            return built
        # A folder that was compiled for an array, or filled by hand, has no board.
        with contextlib.suppress(
            OSError, ValueError, KeyError, TypeError, AttributeError, WeftError
        ):
            return find_board(json.loads((folder / SUMMARY).read_text())["board"]).baud
    owners = [board for board in BOARDS.values() if board.name_of(program.config)]
    return owners[0].baud if owners else DEFAULT_BAUD


def _built_baud(program: Program, path: Path) -> int | None:
    """What build.json says; None where there is none, or one of another configuration."""
    try:
        built = json.loads(path.read_text(encoding="utf-8"))
        baud, config = built["baud"], built["config_digest"]
        if type(baud) is not int or baud < 1:
            raise ValueError(f"no speed: {baud!r}")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"{path} holds no finished build, which would say how fast the link is; run "
            "`weft build` again, or give --baud"
        ) from None
    return baud if config == program.config.digest else None


def _encode(
    network: Network, inputs: np.ndarray | Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], bool]:
    """Codes by tensor name, and whether an int8 input was given real values."""
    names = [port.name for port in network.inputs]
    if not isinstance(inputs, Mapping):
        if len(names) != 1:
            raise InputError(
                f"the model has {len(names)} inputs; give a mapping with an array for each of "
                f"{', '.join(map(repr, names))}"
            )
        inputs = {names[0]: inputs}
    unknown = [name for name in inputs if name not in names]
    missing = [name for name in names if name not in inputs]
    if unknown or missing:
        found = ", ".join(map(repr, inputs)) or "none"
        raise InputError(
            f"the inputs must be {', '.join(map(repr, names))}, and the arrays given are {found}"
        )
    codes, lengths, real = {}, {}, False
    for port in network.inputs:
        array = np.asarray(inputs[port.name])
        taken = port
        if port.dtype == "int8" and array.dtype.kind == "f":
            taken, real = replace(port, dtype="float32"), True
        codes[port.tensor] = quantize_input(taken, network.tensors[port.tensor], array)
        lengths[port.name] = len(array)
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name!r} has {length}" for name, length in lengths.items())
        raise InputError(
            f"the inputs have different numbers of samples ({found}); give every input the same "
            "number"
        )
    return codes, real


def _in_real_values(network: Network) -> Network:
    """The network with outputs in real values."""
    return replace(network, outputs=[replace(port, dtype="float32") for port in network.outputs])
