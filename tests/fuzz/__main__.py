"""The command line of the searches: `python -m tests.fuzz --help`."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import click


@click.group(invoke_without_command=True)
@click.option("--minutes", type=float, help="Search for so long.")
@click.option("--cases", "count", type=int, help="Run so many cases.")
@click.option("--level", type=click.Choice(["program", "rtl", "verilog"]), default="program",
              show_default=True)  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="Of the first round.")
@click.option("--findings", type=click.Path(path_type=Path), default=Path("fuzz-findings"),
              show_default=True, help="Folder for cases that differ.")  # fmt: skip
@click.option("--record", type=click.Path(path_type=Path), help="File for the counts, as JSON.")
@click.option("--replay", type=click.Path(path_type=Path, exists=True), help="Run a saved case.")
@click.pass_context
def main(
    context: click.Context,
    *,
    minutes: float | None,
    count: int | None,
    level: str,
    seed: int,
    findings: Path,
    record: Path | None,
    replay: Path | None,
) -> None:
    """Search for random networks on random configurations whose results differ from golden's.

    `readers` searches in model files instead.
    """
    if context.invoked_subcommand:
        return
    from fuzz import networks  # noqa: PLC0415

    if replay is not None:
        networks.replay(replay)
        click.echo("it equals golden")
        return
    if minutes is None and count is None:
        raise click.UsageError("say how long: --minutes or --cases")

    def keep(made: dict[str, Any]) -> None:
        if record is not None:
            known = json.loads(record.read_text()) if record.exists() else {}
            record.write_text(json.dumps({**known, level: made}, indent=1) + "\n")

    made = networks.search(
        level, findings, minutes=minutes, count=count, seed=seed, say=click.echo, keep=keep
    )
    click.echo(json.dumps(made, indent=1))
    sys.exit(1 if made["failures"] else 0)


@main.command()
@click.option("--minutes", type=float, help="Search for so long.")
@click.option("--executions", type=int, help="Read so many files, of both formats together.")
@click.option("--reader", type=click.Choice(["both", "tflite", "onnx"]), default="both")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--state", type=click.Path(path_type=Path), help="Folder to go on from, and to keep.")
@click.option("--record", type=click.Path(path_type=Path), help="File for the counts, as JSON.")
@click.option("--replay", type=click.Path(path_type=Path, exists=True), help="Read one file.")
def readers(
    *,
    minutes: float | None,
    executions: int | None,
    reader: str,
    seed: int,
    state: Path | None,
    record: Path | None,
    replay: Path | None,
) -> None:
    """Search for model files that a reader neither reads nor refuses."""
    if replay is not None:
        from fuzz.reader_target import Target  # noqa: PLC0415

        target = Target(replay.suffix[1:], Path(tempfile.mkdtemp()))
        with target.ready():
            click.echo(target.execute(replay.read_bytes()))
        return
    if minutes is None and executions is None:
        raise click.UsageError("say how long: --minutes or --executions")
    from fuzz.reader_worker import scratch  # noqa: PLC0415
    from fuzz.readers import search  # noqa: PLC0415

    chosen = ("tflite", "onnx") if reader == "both" else (reader,)
    folder = state or Path(tempfile.mkdtemp(prefix="weft-fuzz-", dir=scratch()))
    holds = search(
        folder, chosen, executions=executions, minutes=minutes, seed=seed, record=record,
        say=click.echo,
    )  # fmt: skip
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
