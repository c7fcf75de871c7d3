"""The command ``weft``: options in, one function of `weft.commands` called, its result out."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from click.core import ParameterSource

from weft.errors import WeftError
from weft.options import (
    FILE,
    FOLDER,
    LEVELS,
    PATH,
    TIMED,
    array_of,
    array_options,
    arrays_of,
    board_option,
    inputs_option,
    json_option,
    output_option,
    report_option,
    rounding_option,
    samples_option,
    simulator_option,
)

if TYPE_CHECKING:
    from weft.commands.result import Result
    from weft.models import TfliteRounding
    from weft.report.page import Reportable

#: Of sysexits.h: a bug in weft, not in what it was given.
INTERNAL_ERROR = 70
INTERRUPTED = 130


def finish(result: Result, as_json: bool) -> None:
    """Print a result, and leave with status 1 where it does not hold."""
    if as_json:
        click.echo(json.dumps(result.to_json()))
    else:
        result.show()
    if not result.holds:
        click.get_current_context().exit(1)


def write(result: Reportable, report: Path | None) -> None:
    """Write the page of a result where that was asked for."""
    if report is not None:
        from weft.console import step
        from weft.report.page import write_report

        with step(f"report {report}"):
            write_report(result, report)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(package_name="weft")
def cli() -> None:
    """Weave a trained neural network into an FPGA, bit for bit.

    A model goes through quantize, compile, simulate, verify and build to a bitstream;
    demo shows the whole path on handwritten digits.
    """


@cli.command()
@board_option("Board to build for.", default="icebreaker", show_default=True)
@click.option(
    "-o", "--output", type=FOLDER, default=Path("weft-demo"), show_default=True, metavar="DIR"
)
@json_option
def demo(*, board: str, output: Path, as_json: bool) -> None:
    """Show the whole path on real handwritten digits."""
    from weft.demo import run_demo

    finish(run_demo(output, board=board), as_json)


@cli.command()
@json_option
def boards(*, as_json: bool) -> None:
    """List the boards, and how fast their bitstreams came out."""
    from weft.commands.boards import boards

    finish(boards(), as_json)


@cli.command()
@click.argument("model", type=PATH)
@board_option("Check that it fits this board as well.")
@rounding_option
@json_option
def check(
    *, model: Path, board: str | None, rounding: TfliteRounding | None, as_json: bool
) -> None:
    """Name everything that stands in the way of MODEL, all at once."""
    from weft.commands.check import check

    finish(check(model, board=board, rounding=rounding), as_json)


@cli.command()
@click.argument("model", type=PATH)
@click.option(
    "--data", type=PATH, required=True, metavar="X.npz|DIR",
    help="Calibration samples: an .npz with 'inputs', an .npy, a folder of these or of images.",
)  # fmt: skip
@click.option(
    "--pixels", metavar="LOW..HIGH",
    help="What black and white of images mean to MODEL, as 0..1; or one range per channel.",
)  # fmt: skip
@click.option(
    "--calibrator", default="minmax", show_default=True, metavar="NAME[:PARAMETER]",
    help="How to choose types of activations: minmax, absmax, percentile[:99.99], mse, entropy "
    "or msb[:99.9].",
)  # fmt: skip
@click.option(
    "--type", "types", multiple=True, metavar="NAME=TYPE",
    help="Fix a tensor's type, as relu1=Q4.3, sfix8_En3 or 2^-3; NODE.weights for weights.",
)  # fmt: skip
@click.option("--per-channel", is_flag=True, help="A scale for the weights of each output channel.")
@click.option(
    "--scales", type=click.Choice(["shift", "multiplier"]),
    help="Powers of two, by which the gateware shifts (the default); or any scales and zero "
    "points, for which it needs a multiplier. Given, an INT8 TFLite model is taken back to real "
    "values and quantised by these.",
)  # fmt: skip
@click.option(
    "--zero-points", is_flag=True,
    help="With powers of two: unsigned types for activations that are never negative, which "
    "gain a bit. The gateware needs nothing more for them.",
)  # fmt: skip
@click.option(
    "--repair", default="auto", show_default=True, metavar="auto|all|none|NAME,...",
    help="What to repair, as long as it helps: equalize, clip, round, bias. auto is round, and "
    "bias where there are 32 samples.",
)  # fmt: skip
@click.option("-o", "--output", type=FILE, required=True, metavar="Q.onnx")
@report_option
@click.option("--bits", is_flag=True, help="Print where each tensor's bits lie, and its type.")
@json_option
def quantize(
    *,
    model: Path,
    data: Path,
    pixels: str | None,
    calibrator: str,
    types: tuple[str, ...],
    per_channel: bool,
    scales: Literal["shift", "multiplier"] | None,
    zero_points: bool,
    repair: str,
    output: Path,
    report: Path | None,
    bits: bool,
    as_json: bool,
) -> None:
    """Calibrate and quantise the float MODEL to INT8 with power-of-two scales.

    The result is standard QDQ ONNX, which ONNX Runtime runs as well.
    """
    if bits and as_json:
        raise click.UsageError("--json has the bits of every tensor; leave --bits out.")
    from weft.commands.quantize import quantize_model
    from weft.compiler.calibrate_types import parse_types

    result = quantize_model(
        model, data, output, calibrator=calibrator, types=parse_types(types),
        per_channel=per_channel, pixels=pixels, scales=scales, zero_points=zero_points,
        repair=repair,
    )  # fmt: skip
    write(result, report)
    if bits:
        from weft.report.terminal import show_bits

        show_bits(result.tensors)
    finish(result, as_json)


@cli.command()
@click.argument("model", type=PATH)
@click.argument("quantised", type=PATH, metavar="Q.onnx")
@click.option(
    "--data", type=PATH, required=True, metavar="X.npz|DIR",
    help="Samples that calibration has not seen, as quantize takes them.",
)  # fmt: skip
@click.option(
    "--labels", metavar="Y.npz|KEY",
    help="Class numbers, or what the outputs should be: a file with 'labels', or the key of an "
    "array in X.npz.",
)  # fmt: skip
@click.option(
    "--metric", metavar="METRIC",
    help="top1, mse, cosine, or module:function, called with (outputs, labels); by default one "
    "that fits the output.",
)  # fmt: skip
@click.option(
    "--tolerance", type=click.FloatRange(min=0), metavar="POINTS",
    help="How much worse INT8 may be: percentage points for top1, else in the metric's unit.",
)  # fmt: skip
@click.option(
    "--calibration", type=PATH, metavar="X.npz|DIR",
    help="What the side by side of scales is calibrated on; without it on --data.",
)  # fmt: skip
@click.option(
    "--choices/--no-choices", default=True, show_default=True,
    help="The side by side of shift and multiplier scales.",
)  # fmt: skip
@board_option("Board whose array the side by side is for.")
@array_options("Or an array; 8x8 without either.")
@click.option(
    "--pixels", metavar="LOW..HIGH", help="What black and white of images mean to MODEL, as 0..1."
)
@rounding_option
@report_option
@json_option
def validate(
    *,
    model: Path,
    quantised: Path,
    data: Path,
    array: tuple[int, int] | None,
    as_json: bool,
    labels: str | None,
    metric: str | None,
    tolerance: float | None,
    calibration: Path | None,
    choices: bool,
    board: str | None,
    pixels: str | None,
    rounding: TfliteRounding | None,
    report: Path | None,
    **parts: int | None,
) -> None:
    """Compare the float MODEL with its quantised form on held-out data.

    Accuracy of both, the error of every layer with the one that hurts most, what shift and
    multiplier scales cost, and values beyond what calibration saw.
    """
    from weft.commands.validate import validate

    result = validate(
        model, quantised, data, labels=labels, metric=metric, tolerance=tolerance,
        calibration=calibration, choices=choices, board=board, array=array_of(array, **parts),
        pixels=pixels, rounding=rounding,
    )  # fmt: skip
    write(result, report)
    finish(result, as_json)


@cli.command("compile")
@click.argument("model", type=PATH)
@board_option("Take this board's configuration.")
@array_options("Or an array of this shape, memories to fit.")
@rounding_option
@click.option("-o", "--output", type=FOLDER, required=True, metavar="DIR")
@json_option
def compile_(
    *,
    model: Path,
    board: str | None,
    array: tuple[int, int] | None,
    rounding: TfliteRounding | None,
    output: Path,
    as_json: bool,
    **parts: int | None,
) -> None:
    """Compile the quantised MODEL to Verilog, program, memory images and summary.json."""
    from weft.commands.compile import compile_model

    if (board is None) == (array is None):
        raise click.UsageError("Give either --board BOARD or --array RxC.")
    chosen = array_of(array, **parts)
    result = compile_model(model, output, board=board, array=chosen, rounding=rounding)
    finish(result, as_json)


@cli.command()
@click.argument("source", type=PATH, metavar="MODEL|DIR")
@inputs_option
@click.option("--level", type=click.Choice(LEVELS), default="golden", show_default=True)
@simulator_option
@array_options(
    "Array to compile a MODEL for, where the level needs one.",
    stream="Load each sample while the one before is computed, and measure the throughput; "
    "with --level verilog, and a DIR compiled with it.",
)
@rounding_option
@output_option
@json_option
def simulate(
    *,
    source: Path,
    inputs: Path,
    level: str,
    simulator: str,
    array: tuple[int, int] | None,
    rounding: TfliteRounding | None,
    output: Path,
    as_json: bool,
    stream: int | None,
    **parts: int | None,
) -> None:
    """Run samples through a quantised MODEL or a compiled DIR at one level."""
    from weft.commands.simulate import simulate

    if stream and level != "verilog":
        raise click.UsageError("--stream measures cycles in the Verilog; add --level verilog.")
    if array and stream:
        parts["stream"] = stream
    result = simulate(
        source, inputs, output, level=level, simulator=simulator,
        array=array_of(array, **parts), rounding=rounding, stream=bool(stream),
    )  # fmt: skip
    finish(result, as_json)


@cli.command()
@click.argument("folder", type=PATH, metavar="[DIR]", required=False)
@samples_option(required=False)
@click.option(
    "--level", type=click.Choice(LEVELS), default="verilog", show_default=True,
    help="The last level to compare.",
)  # fmt: skip
@simulator_option
@click.option(
    "--layers", type=click.Choice(["all", "first", "none"]), default="all", show_default=True,
    help="Samples that also run layer by layer.",
)  # fmt: skip
@click.option(
    "--reference", "references", type=FILE, multiple=True, metavar="R.npz",
    help="Compare golden with these tensors, by name or number.",
)  # fmt: skip
@click.option(
    "--certificate", type=FILE, metavar="C.json",
    help="Write what was compared, with all that it takes to do it again.",
)  # fmt: skip
@click.option(
    "--replay", type=FILE, metavar="C.json",
    help="Instead of a DIR: compile, build and verify what a certificate holds.",
)  # fmt: skip
@click.option("-o", "--output", type=FOLDER, metavar="DIR", help="Where to replay it, and keep it.")
@json_option
@click.pass_context
def verify(
    context: click.Context,
    *,
    folder: Path | None,
    inputs: Path | None,
    level: str,
    simulator: str,
    layers: Literal["all", "first", "none"],
    references: tuple[Path, ...],
    certificate: Path | None,
    replay: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Compare every level of a compiled DIR with golden; name the first divergence.

    At each level the samples run as a whole, for the outputs, and layer by layer,
    for every tensor in between.
    """
    if replay is not None:
        from weft.commands.replay import replay as play

        _check_alone(context, "replay", also=("output", "as_json"))
        finish(play(replay, output), as_json)
        return
    if folder is None or inputs is None:
        raise click.UsageError("give a DIR and its --inputs X.npz, or --replay C.json")
    if output is not None:
        raise click.UsageError("-o is for --replay; leave it out")
    from weft.commands.certificate import certified

    result = certified(
        folder, inputs, certificate,
        level=level, simulator=simulator, layers=layers, references=references,
    )  # fmt: skip
    finish(result, as_json)


def _check_alone(context: click.Context, name: str, *, also: Sequence[str]) -> None:
    """Refuse everything that was given beside an option that says it all."""
    for parameter in context.command.params:
        source = context.get_parameter_source(str(parameter.name))
        given = source is ParameterSource.COMMANDLINE
        if given and parameter.name not in (name, *also):
            shown = parameter.get_error_hint(context)
            raise click.UsageError(f"--{name} says it all; leave {shown} out")


@cli.command()
@click.argument("model", type=PATH)
@board_option("A board; may be given several times. All boards without it.", multiple=True)
@array_options(
    "An array on the board's FPGA instead of its own, memories to fit; may be given several times.",
    multiple=True,
)
@rounding_option
@json_option
def estimate(
    *,
    model: Path,
    board: tuple[str, ...],
    array: tuple[tuple[int, int], ...],
    rounding: TfliteRounding | None,
    as_json: bool,
    **parts: int | None,
) -> None:
    """Say whether the quantised MODEL fits boards, and how fast it is, without a build.

    Cycles are exact, per layer, with what bounds them; block RAMs and multipliers are
    counted; LUTs and the clock are estimated, with the estimate's measured error.
    """
    from weft.commands.estimate import estimate

    arrays = arrays_of(array, **parts)
    finish(estimate(model, boards=board, arrays=arrays, rounding=rounding), as_json)


@cli.command()
@click.argument("folder", type=PATH, metavar="DIR")
@inputs_option
@click.option("--level", type=click.Choice(TIMED), default="verilog", show_default=True)
@simulator_option
@click.option("--plot", type=FILE, metavar="P.png|P.svg", help="Draw it into this file.")
@json_option
def profile(
    *,
    folder: Path,
    inputs: Path,
    level: str,
    simulator: str,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Simulate a compiled DIR, and show the cycles of each layer beside the estimate.

    With the bound and the utilization of each layer; a difference gives status 1.
    """
    from weft.commands.profile import profile

    finish(profile(folder, inputs, level=level, simulator=simulator, plot=plot), as_json)


@cli.command()
@click.argument("folder", type=PATH, metavar="DIR")
@click.option(
    "--baud", type=click.IntRange(min=1), metavar="N",
    help="Bits per second of the link, instead of the board's own.",
)  # fmt: skip
@click.option(
    "--from", "source", type=PATH, metavar="BUILD",
    help="Put DIR's program into the bitstream of this finished build for the same board and "
    "configuration: seconds, without place and route.",
)  # fmt: skip
@json_option
def build(*, folder: Path, baud: int | None, source: Path | None, as_json: bool) -> None:
    """Build the bitstream of a DIR compiled for a board, with timing and utilisation."""
    from weft.commands.build import build

    finish(build(folder, baud=baud, source=source), as_json)


@cli.command()
@click.argument("folder", type=PATH, metavar="DIR")
@click.option("--sram", is_flag=True, help="Into the FPGA alone, until the power goes.")
@click.option(
    "--program", is_flag=True,
    help="Only the program, into the flash memory where the boot loader of a board's bitstream "
    "finds it.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say which commands would do it.")
@json_option
def flash(*, folder: Path, sram: bool, program: bool, dry_run: bool, as_json: bool) -> None:
    """Put a built DIR onto its board: the bitstream and, for a boot loader, the program."""
    from weft.commands.flash import flash

    if sram and program:
        raise click.UsageError("--sram is for the bitstream and --program leaves it; take one")
    finish(flash(folder, sram=sram, program=program, dry_run=dry_run), as_json)


@cli.command()
@click.argument("folder", type=PATH, metavar="DIR")
@click.option("--port", required=True, help="The board's serial port, or sim for a simulated one.")
@click.option("--inputs", type=FILE, metavar="X.npz", help="Samples: an .npz with 'inputs'.")
@click.option("-o", "--output", type=FILE, metavar="Y.npz", help="Gets an .npz with 'outputs'.")
@click.option(
    "--labels", type=FILE, metavar="FILE",
    help="Names of the classes, one on each line: the name of each sample's is printed.",
)  # fmt: skip
@click.option(
    "--self-test",
    is_flag=True,
    help="Instead of samples: compare memory, outputs and cycles with what they must be.",
)
@click.option(
    "--layers",
    is_flag=True,
    help="Instead of samples: the cycles of each layer, as the board counts and as estimated.",
)
@click.option(
    "--baud", type=click.IntRange(min=1), metavar="N",
    help="Bits per second, where they are not those that DIR was built for.",
)  # fmt: skip
@click.option(
    "--no-load", is_flag=True, help="Refuse a board that has another program, do not load DIR's."
)
@click.option(
    "--reconnect", type=click.FloatRange(min=0), default=0.0, metavar="SECONDS",
    help="Wait so long for a board that was unplugged, and go on when it is back.",
)  # fmt: skip
@json_option
def run(
    *,
    folder: Path,
    port: str,
    inputs: Path | None,
    output: Path | None,
    labels: Path | None,
    self_test: bool,
    layers: bool,
    baud: int | None,
    no_load: bool,
    reconnect: float,
    as_json: bool,
) -> None:
    """Run samples on a board that is flashed with DIR's bitstream, or test the board.

    With --self-test or --layers a difference gives status 1.
    """
    from weft.commands.run import run, run_layer_cycles, run_self_test

    if self_test and layers:
        raise click.UsageError("Give --self-test or --layers, one at a time.")
    options: dict[str, Any] = {"baud": baud, "load": not no_load, "reconnect": reconnect}
    if (self_test or layers) and (inputs or output or labels):
        what = "--self-test" if self_test else "--layers"
        raise click.UsageError(f"{what} has no samples; leave --inputs, -o and --labels out.")
    if self_test:
        finish(run_self_test(folder, port=port, **options), as_json)
    elif layers:
        finish(run_layer_cycles(folder, port=port, **options), as_json)
    elif inputs is None or output is None:
        raise click.UsageError("Give --inputs X.npz and -o Y.npz, or --self-test, or --layers.")
    else:
        finish(run(folder, inputs, output, port=port, labels=labels, **options), as_json)


@cli.command("board-sim")
@click.argument("folder", type=PATH, metavar="DIR")
@json_option
def board_sim(*, folder: Path, as_json: bool) -> None:
    """Simulate a board that is flashed with DIR, behind a pseudo-terminal, until Ctrl-C.

    The same link, UART and core as on the board, in Verilator; any program that opens serial
    ports can talk to it.
    """
    from weft.commands.board_sim import board_sim

    with board_sim(folder) as (board, simulated):
        finish(simulated, as_json)
        sys.stdout.flush()
        board.wait()


def _readable(message: str) -> str:
    """For people at a terminal in lines of 80 columns; programs get each sentence on one line."""
    if not sys.stderr.isatty():
        return message
    from weft.console import wrap

    lines = message.splitlines()
    return "\n".join(wrap(line.strip(), line[: len(line) - len(line.lstrip())]) for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; an error becomes a sentence on standard error and a status."""
    try:
        status = cli.main(args=arguments, prog_name="weft", standalone_mode=False)
    except WeftError as error:
        click.echo(_readable(f"error: {error}"), err=True)
        return error.status
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone; without this Python would complain again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # whatever it is, no traceback reaches a user
        if os.environ.get("WEFT_DEBUG"):
            traceback.print_exc()
        click.echo(
            f"internal error: {type(error).__name__}: {error}; "
            "please report it with what WEFT_DEBUG=1 prints",
            err=True,
        )
        return INTERNAL_ERROR
    return status if isinstance(status, int) else 0
