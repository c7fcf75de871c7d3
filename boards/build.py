"""From a program to a bitstream: synthesis, place and route, packing, and the verdict."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from weft.boards.block_rams import FAMILIES, Block, blocks_of, fill, locate
from weft.boards.board import Board
from weft.boards.build_report import RESOURCES, BuildReport, netlist_files
from weft.boards.cache import digest, step
from weft.boards.contents import Memory, take_out
from weft.boards.flash_image import flash_image
from weft.boards.floorplan import constrain
from weft.boards.memory_map import MAP, MemoryMap
from weft.boards.target import Target
from weft.boards.tools import (
    ToolError,
    ToolStalledError,
    find_tool,
    packer_version,
    run_tool,
    tool_version,
)
from weft.compiler.program import Program
from weft.errors import InputError, RefusedError
from weft.hw.config import Config

#: Called with the name of the stage that begins and whether it came from the cache.
Progress = Callable[[str, bool], None]

#: Those of a build's files that go onto the board.
FLASHED = ("bitstream", "program")
#: A program for flash memory, beside its bitstream.
PROGRAM_IMAGE = "program.img"

#: Seconds of processor time that a placement may take. The largest takes four minutes; now and
#: then one never ends, since its router finds no way for its last few wires.
PATIENCE = 30 * 60

#: A bank may return anything for a row that is being written (`weft.hw.bank`). Amaranth has no
#: word for that, and for the row's old contents Yosys would add a comparator and 45 registers
#: to each block RAM.
COLLISIONS = "setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2 r:CLK_ENABLE=1 %i"


def build(
    program: Program | Config,
    board: Board,
    out: Path | str,
    *,
    embed: bool = True,
    seeds: Sequence[int] | None = None,
    require_timing: bool = True,
    progress: Progress | None = None,
    core: Any = None,
) -> BuildReport:
    """Make a bitstream for a board.

    Parameters
    ----------
    program : Program or Config
        A configuration alone makes a bitstream whose programs come over the link.
    board : Board
    out : path
        The folder for the bitstream, build.json and logs; made if it is not there.
    embed : bool
        Make the program's images the memories' initial contents, where the board's memories
        have any; else the program comes over the link.
    seeds : sequence of int
        Placements to try, in order, until one meets the clock; by default the board's.
    require_timing : bool
        Whether missing the clock is an error; if not, the best placement is kept.
    progress : callable or None
    core : wiring.Component or None
        Instead of the configuration's core; for tests of the flow itself.

    Raises
    ------
    InputError
        If `out` cannot be written.
    RefusedError
        If the design is too large, misses the clock, or a tool is absent or fails.
    """
    job = Build(program, board, Path(out), embed=embed, seeds=seeds, progress=progress, core=core)
    return job.run(require_timing)


class Build:
    """A build in stages, for what wants to see them one by one; `build` does all.

    Every stage needs the one before, and `out` has to be there.

    Parameters
    ----------
    program, board, out, embed, seeds, progress, core
        As of `build`.

    Attributes
    ----------
    config : Config
    tools : dict of str to str
        Paths of the board's tools by their names.
    files : dict of str to str or bytes
        What Yosys and nextpnr read, once elaborated.
    seconds : dict of str to float
        Of the stages so far.
    cached : dict of str to bool
        Which of them came from the cache.
    hardware : str
        Digest of all that decides netlist and places, once elaborated: all but the contents of
        block RAMs, where those can be put in last.
    memories : dict of str to Memory
        Those contents, by the memories' names in the netlist. What the tools read has ink instead
        (`weft.boards.contents`).

    Raises
    ------
    InputError
        If there is no seed.
    RefusedError
        If a tool is not there.
    """

    def __init__(
        self,
        program: Program | Config,
        board: Board,
        out: Path,
        *,
        embed: bool = True,
        seeds: Sequence[int] | None = None,
        progress: Progress | None = None,
        core: Any = None,
    ):
        seeds = board.seeds if seeds is None else tuple(seeds)
        if not seeds:
            raise InputError("a build needs at least one seed")
        self.board = board
        self.out = out
        self.seeds = seeds
        self.progress = progress
        self.core = core
        self.config = program if isinstance(program, Config) else program.config
        embed = embed and board.keeps(self.config)
        self.program = program if isinstance(program, Program) and embed else None
        boots = board.boots(self.config)
        self.booted = program if isinstance(program, Program) and boots else None
        self.seconds: dict[str, float] = {}
        self.cached: dict[str, bool] = {}
        # Every tool is looked for before the first minute is spent.
        self.tools = {name: find_tool(name) for name in board.toolchain}

    @property
    def program_digest(self) -> str | None:
        """Of the program that the board will have after reset."""
        program = self.program or self.booted
        return program.digest if program else None

    def run(self, require_timing: bool) -> BuildReport:
        """All stages, as `build` says."""
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot write to {self.out}: {error.strerror}") from error
        for name in ("build.json", MAP, PROGRAM_IMAGE):
            (self.out / name).unlink(missing_ok=True)
        self.elaborate()
        self.synthesize()
        report = self._place()
        if require_timing and not report.timing_met:
            self.write(report)
            raise RefusedError(
                f"{self.board.title} reaches {report.fmax_mhz:.2f} MHz after routing and wants "
                f"{report.target_mhz:.2f} MHz (best of {len(self.seeds)} placements); "
                "choose a smaller array or fewer lanes"
            )
        self.fill_memories()
        self.pack(report)
        self.write(report)
        return report

    def _stage(
        self, name: str, inputs: Sequence[str | bytes], outputs: list[str], make: Callable[[], None]
    ) -> None:
        start = time.monotonic()
        if self.progress:
            self.progress(name, False)
        identity = digest(name, *inputs)
        self.cached[name] = step(identity, self.out, outputs, make)
        if self.progress and self.cached[name]:
            self.progress(name, True)
        self.seconds[name] = round(time.monotonic() - start, 3)

    def elaborate(self) -> None:
        """Write what Yosys and nextpnr read.

        Raises
        ------
        RefusedError
            If the board cannot have such a configuration.
        """
        start = time.monotonic()
        if self.progress:
            self.progress("elaborate", False)
        images = self.program.images if self.program else None
        try:
            self.target = Target(
                self.board,
                self.config,
                images=images,
                program_digest=self.program.digest if self.program else None,
                core=self.core,
            )
        except ValueError as error:
            raise RefusedError(f"{self.board.title}: {error}") from error
        options = {"script_after_read": COLLISIONS}
        if self.board.synth_options:
            options["synth_opts"] = self.board.synth_options
        plan = self.board.platform().prepare(self.target, "top", emit_src=False, **options)
        self.files: dict[str, str | bytes] = {
            name: content
            for name, content in plan.files.items()
            if name.endswith((".il", ".pcf", ".lpf", ".cst", ".ys"))
        }
        self.memories: dict[str, Memory] = {}
        if self.board.family in FAMILIES:
            rtlil, self.memories = take_out(str(self.files["top.il"]), self.board.family)
            self.files["top.il"] = rtlil
        if "cell \\MULT18X18D" in str(self.files["top.il"]):
            # abc9 dies without a message on chains of explicit multipliers.
            script = str(self.files["top.ys"])
            self.files["top.ys"] = script.replace("synth_ecp5", "synth_ecp5 -noabc9")
        self.commands = json.loads(plan.files["build_top.json"])["commands"]
        if self.board.family == "gowin":
            self._renew_gowin()
        for name, content in self.files.items():
            data = content.encode() if isinstance(content, str) else content
            (self.out / name).write_bytes(data)
        named = (part for name, content in sorted(self.files.items()) for part in (name, content))
        self.hardware = digest(self.board.device, *named)[:16]
        self.seconds["elaborate"] = round(time.monotonic() - start, 3)

    def _renew_gowin(self) -> None:
        """Amaranth's plan for Gowin, in the words of the nextpnr of today.

        The plan calls nextpnr-gowin, which is no more; and it calls the netlist otherwise than
        those of the other families.
        """
        script = str(self.files["top.ys"]).replace("top.syn.json", "top.json")
        self.files["top.ys"] = script
        retired = next(c for c in self.commands if c[0] == "nextpnr-gowin")
        given = dict(pairwise(retired))
        command = [
            self.board.toolchain[1], "--log", given["--log"], "--device", given["--device"],
            "--vopt", f"family={given['--family']}", "--vopt", f"cst={given['--cst']}",
            # Nobody tells it what the PLL makes.
            "--freq", f"{self.target.clock / 1e6 / self.board.derating:.3f}",
            "--json", "top.json", "--write", given["--write"],
        ]  # fmt: skip
        self.commands[self.commands.index(retired)] = command

    def _command(self, tool: str, *more: str) -> list[str]:
        """Amaranth's own command for a tool, with more options."""
        command = next(c for c in self.commands if c[0] == tool)
        options = [option for option in command[1:] if option not in ("--quiet", "-q")]
        return [self.tools[tool], *more, *options]

    def _version(self, tool: str) -> str:
        return tool_version(self.tools[tool])

    def synthesize(self) -> None:
        """Make the netlist top.json, with the board's places for cells.

        Raises
        ------
        ToolError
            If Yosys fails.
        """
        yosys = self.board.toolchain[0]
        inputs = [self._version(yosys), self.files["top.il"], self.files["top.ys"]]
        command = self._command(yosys, "-q")

        def make() -> None:
            run_tool(command, directory=self.out, log=self.out / "synthesis.log")

        self._stage("synthesize", inputs, ["top.json", "top.rpt"], make)
        if self.board.floorplan:
            netlist = self.out / "top.json"
            netlist.write_bytes(
                constrain(netlist.read_bytes(), self.config, self.board.floorplan)[0]
            )

    def _place(self) -> BuildReport:
        """Place and route with one seed after another; the first that meets the clock, or best."""
        best: tuple[float, int] | None = None
        met = False
        stalled: ToolStalledError | None = None
        for seed in self.seeds:
            try:
                self.place_seed(seed)
            except ToolStalledError as error:
                stalled = error
                continue
            fmax, met = self.timing()
            if best is None or fmax > best[0]:
                best = fmax, seed
            if met:
                break
        if best is None:
            assert stalled is not None
            raise stalled
        if best[1] != seed:
            self.place_seed(best[1])
        return self._report(best[1], met)

    def place_seed(self, seed: int) -> None:
        """Place and route once, to report.json.

        Raises
        ------
        RefusedError
            If the design is too large, or nextpnr fails.
        ToolStalledError
            If it does not come to its end.
        """
        tool = self.board.toolchain[1]
        constraints = [
            c for name, c in self.files.items() if name.endswith((".pcf", ".lpf", ".cst"))
        ]
        options = ["--seed", str(seed), "--report", "report.json", "--timing-allow-fail"]
        routed_netlist = netlist_files(self.board.family)["routed"]
        if routed_netlist != self.routed:
            options += ["--write", routed_netlist]
        command = self._command(tool, *options)
        netlist = (self.out / "top.json").read_bytes()
        inputs: list[str | bytes] = [self._version(tool), netlist, *constraints, *command[1:]]
        outputs = ["report.json", "top.tim", self.routed, routed_netlist]

        def make() -> None:
            try:
                log = self.out / "place.log"
                run_tool(command, directory=self.out, log=log, patience=PATIENCE)
            except ToolError as error:
                raise self._too_large(error.log) or error from None

        self._stage(f"place and route, seed {seed}", inputs, outputs, make)

    @property
    def routed(self) -> str:
        """Name of the file that place and route makes."""
        return {"ice40": "top.asc", "ecp5": "top.config", "gowin": "top.pnr.json"}[
            self.board.family
        ]

    def _too_large(self, log: str) -> RefusedError | None:
        """Make the error for a design that does not fit, if that was the matter."""
        lines = re.findall(r"(\w+):\s+(\d+)/\s*(\d+)\s+\d+%", log)
        used = {name: (int(have), int(most)) for name, have, most in lines}
        over = [
            f"{have} {RESOURCES.get(name, name)} of {most} ({have - most} too many)"
            for name, (have, most) in used.items()
            if have > most
        ]
        remedy = "choose a smaller array, smaller memories or another board"
        if over:
            return RefusedError(
                f"the design does not fit {self.board.title}: it needs {', '.join(over)}; {remedy}"
            )
        full = re.search(r"Unable to (find legal placement|place cell).*type '(\w+)'", log)
        if full:
            kind = full.group(2)
            have, most = used.get(kind, (0, 0))
            return RefusedError(
                f"the design does not fit {self.board.title}: its {have} "
                f"{RESOURCES.get(kind, kind)} of {most} cannot all be placed; {remedy}"
            )
        return None

    def timing(self) -> tuple[float, bool]:
        """Routed Fmax in MHz of the clock that is worst off; whether all meet their constraint.

        Less what the board's `derating` takes.
        """
        clocks = json.loads((self.out / "report.json").read_text())["fmax"].values()
        if not clocks:
            raise RefusedError(f"nextpnr reports no clock; see {self.out / 'top.tim'}")
        wanted = self.target.clock / 1e6
        worst = self.board.derating * min(float(clock["achieved"]) for clock in clocks)
        return worst, worst >= wanted

    def _report(self, seed: int, met: bool) -> BuildReport:
        found = json.loads((self.out / "report.json").read_text())["utilization"]
        fmax, _ = self.timing()
        return BuildReport(
            board=self.board.name,
            config=asdict(self.config),
            config_digest=self.config.digest,
            program_digest=self.program_digest,
            fmax_mhz=round(fmax, 2),
            target_mhz=round(self.target.clock / 1e6, 6),
            baud=self.board.baud,
            timing_met=met,
            seed=seed,
            utilization={name: found[name] for name in sorted(found) if found[name]["used"]},
            tools={name: self._version(name) for name in self.board.toolchain[:2]},
            seconds=self.seconds,
            cached=self.cached,
            files={
                "report": "report.json", "timing": "top.tim", "synthesis": "top.rpt",
                **netlist_files(self.board.family),
            },
        )  # fmt: skip

    def fill_memories(self) -> None:
        """Put the program into the routed design, and write where it went: memories.json.

        Raises
        ------
        RefusedError
            If the tools did not do with the memories what they should.
        """
        if not self.memories:
            return
        start = time.monotonic()
        if self.progress:
            self.progress("fill memories", False)
        netlist = (self.out / "top.json").read_bytes()
        routed = (self.out / self.routed).read_text(encoding="utf-8")
        family = self.board.family
        blocks = locate(blocks_of(self.memories, family, netlist), self.memories, family, routed)
        self.put_in(routed, blocks)
        self.seconds["fill memories"] = round(time.monotonic() - start, 3)

    def put_in(self, routed: str, blocks: list[Block]) -> None:
        """Write a routed design with this program in its block RAMs, and memories.json."""
        filled = fill(routed, blocks, self.memories, self.board.family)
        (self.out / self.routed).write_text(filled, encoding="utf-8")
        MemoryMap(self.hardware, digest(filled), blocks).save(self.out)

    def pack_seed(self, seed: int) -> Path:
        """Pack what `place_seed` routed last: the bitstream.

        Raises
        ------
        RefusedError
            If a tool fails, or did not do with the memories what it should.
        """
        self.fill_memories()
        report = self._report(seed, self.timing()[1])
        self.pack(report)
        return self.out / report.files["bitstream"]

    def pack(self, report: BuildReport) -> None:
        """Make the bitstream.

        Raises
        ------
        ToolError
            If the packer fails.
        """
        tool = self.board.toolchain[2]
        command = self._command(tool, *self.board.pack_options)
        name = f"top{self.board.bitstream}"
        routed = (self.out / self.routed).read_bytes()
        # Packers come in nextpnr's package and have its version, or in one that it asks for.
        versions = [self._version(self.board.toolchain[1]), packer_version(tool)]
        inputs: list[str | bytes] = [*versions, routed, *command[1:]]

        def make() -> None:
            run_tool(command, directory=self.out, log=self.out / "pack.log")

        self._stage("pack", inputs, [name], make)
        report.files["bitstream"] = name

    def write(self, report: BuildReport) -> None:
        """Write build.json, and the image of a program that the gateware loads."""
        if self.booted is not None and "bitstream" in report.files:
            (self.out / PROGRAM_IMAGE).write_bytes(flash_image(self.booted))
            report.files["program"] = PROGRAM_IMAGE
        flashed = {kind: report.files[kind] for kind in FLASHED if kind in report.files}
        report.sums = {
            kind: digest((self.out / name).read_bytes()) for kind, name in flashed.items()
        }
        text = json.dumps(asdict(report), indent=2)
        (self.out / "build.json").write_text(text + "\n", encoding="utf-8")
