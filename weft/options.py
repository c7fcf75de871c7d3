"""Options that several commands have, and what they are turned into."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from weft.hw.config import Config

LEVELS = ("golden", "program", "rtl", "verilog", "netlist", "routed")
TIMED = LEVELS[2:4]
SIMULATORS = ("verilator", "icarus")
ROUNDINGS = ("double", "single", "litert")


class ArrayShape(click.ParamType):
    """Rows and columns as "8x8"."""

    name = "RxC"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """Parse, or say how it is written."""
        if isinstance(value, tuple):
            return value
        shape = re.fullmatch(r"([0-9]{1,6})[xX]([0-9]{1,6})", value)
        if shape is None or 0 in map(int, shape.groups()):
            self.fail(f"{value!r} is not an array shape; write rows x columns as 8x8", param, ctx)
        return int(shape[1]), int(shape[2])


PATH = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object, or nothing on an error."
)


def samples_option(*, required: bool) -> Callable:
    """``--inputs``."""
    return click.option(
        "--inputs", type=FILE, required=required, metavar="X.npz",
        help="Samples: an .npz with 'inputs'.",
    )  # fmt: skip


inputs_option = samples_option(required=True)
output_option = click.option(
    "-o", "--output", type=FILE, required=True, metavar="Y.npz", help="Gets an .npz with 'outputs'."
)
simulator_option = click.option(
    "--simulator", type=click.Choice(SIMULATORS), default="verilator", show_default=True,
    help="For the level verilog.",
)  # fmt: skip


rounding_option = click.option(
    "--rounding", type=click.Choice(ROUNDINGS),
    help="How a TFLite model's kernels multiply: double as TFLite Micro (the default), "
    "single, litert as LiteRT's reference.",
)  # fmt: skip


def _report_place(_context: Any, _parameter: Any, path: Path | None) -> Path | None:
    """Where a report goes, refused before the work is done where it cannot."""
    if path is not None:
        from weft.report.page import check_place

        check_place(path)
    return path


report_option = click.option(
    "--report", type=PATH, metavar="R.html", callback=_report_place,
    help="Write all that was found as one HTML page, which needs no network.",
)  # fmt: skip


def array_options(
    text: str, *, stream: str = "Take the next input while it computes.", **more: Any
) -> Callable:
    """``--array`` with its own help, and what else an array has beside its shape."""
    options = (
        click.option("--array", type=ArrayShape(), help=text, **more),
        click.option(
            "--lanes", type=click.IntRange(min=1), metavar="N",
            help="Requantize lanes of that array.",
        ),
        click.option(
            "--window", type=click.IntRange(min=1), metavar="N",
            help="Image rows that its second activation path takes.",
        ),
        click.option(
            "--interleave", type=click.IntRange(min=2), metavar="N",
            help="Image rows that take turns in it, with --window 1.",
        ),
        click.option(
            "--pairs", type=int, is_flag=True, flag_value=1, default=None,
            help="Sums of two tensors in one step a result, with --window 3 or more.",
        ),
        click.option(
            "--multiplier-bits", type=click.IntRange(1, 31), metavar="N",
            help="Bits of its requantizer's multiplier; fewer than 31 are not exact.",
        ),
        click.option(
            "--stream", type=int, is_flag=True, flag_value=1, default=None, help=stream
        ),
    )  # fmt: skip

    def decorate(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def array_of(shape: tuple[int, int] | None, **parts: int | None) -> Config | None:
    """The configuration that ``--array`` and the options beside it ask for."""
    from weft.hw.config import Config

    given = {name: value for name, value in parts.items() if value is not None}
    if shape is None:
        if given:
            option = next(iter(given)).replace("_", "-")
            raise click.UsageError(f"--{option} says more of --array RxC; give that too.")
        return None
    try:
        return Config(rows=shape[0], columns=shape[1], **given)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None


def arrays_of(shapes: Sequence[tuple[int, int]], **parts: int | None) -> list[Config]:
    """The same for ``--array`` given several times, or not at all."""
    found = [array_of(shape, **parts) for shape in shapes or (None,)]
    return [config for config in found if config is not None]


def board_option(text: str, **more: Any) -> Callable:
    """``--board`` with its own help."""
    return click.option("--board", metavar="BOARD", help=text, **more)
