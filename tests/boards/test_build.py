import dataclasses
import json
import signal
import sys
import zlib

import pytest
import standin

from weft.boards import tools
from weft.boards.build import Build, build
from weft.boards.clock import ecp5_pll, gowin_pll, ice40_pll
from weft.boards.registry import BOARDS, find_board
from weft.boards.target import Target
from weft.boards.tools import ToolError, ToolStalledError, find_tool, run_tool
from weft.errors import InputError, RefusedError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())
def test_boards_are_consistent(board):
    target = Target(board, board.config)
    assert 0.9 * board.target_mhz < target.clock / 1e6 <= board.target_mhz


def test_an_unknown_board_lists_those_there_are():
    assert find_board("ULX3S_85F").name == "ulx3s-85f"
    with pytest.raises(InputError) as error:
        find_board("arty")
    assert str(error.value) == f"no board 'arty'; the boards are {', '.join(BOARDS)}"


@pytest.mark.parametrize("wanted", [16e6, 24e6, 48e6, 60e6, 100e6])
def test_ice40_pll_stays_within_its_limits(wanted):
    pll = ice40_pll(12e6, wanted)
    assert pll.output == 12e6 / (pll.divr + 1) * (pll.divf + 1) / 2**pll.divq
    assert 533e6 <= pll.output * 2**pll.divq <= 1066e6
    assert 0.97 * wanted <= pll.output <= wanted


@pytest.mark.parametrize("wanted", [25e6, 75e6, 120e6, 133e6, 147e6])
def test_ecp5_pll_stays_within_its_limits(wanted):
    pll = ecp5_pll(25e6, wanted)
    assert pll.output == pytest.approx(25e6 / pll.input_divider * pll.feedback_divider)
    assert 400e6 <= pll.output * pll.output_divider <= 800e6
    assert 0.97 * wanted <= pll.output <= wanted


@pytest.mark.parametrize("wanted", [27e6, 33e6, 54e6, 81e6, 100e6, 133e6])
@pytest.mark.parametrize(
    ("device", "speed", "oscillator"),
    [("GW1NR-9C", "C6/I5", (400e6, 1200e6)), ("GW2A-18C", "C8/I7", (500e6, 1250e6))],
)
def test_gowin_s_pll_stays_within_its_limits(device, speed, oscillator, wanted):
    pll = gowin_pll(device, speed, 27e6, wanted)
    assert pll.output == pytest.approx(27e6 / pll.input_divider * pll.feedback_divider)
    assert pll.output_divider in (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)
    assert oscillator[0] <= pll.output * pll.output_divider <= oscillator[1]
    assert 27e6 / pll.input_divider >= 3e6
    assert 0.97 * wanted <= pll.output <= wanted


def test_an_unknown_pll_is_refused():
    with pytest.raises(ValueError, match=r"^the limits of the PLL of GW1N-1 C6/I5 are not known$"):
        gowin_pll("GW1N-1", "C6/I5", 27e6, 54e6)


def test_a_pll_refuses_the_impossible():
    with pytest.raises(ValueError, match=r"^the PLL cannot make 5 MHz from 12 MHz$"):
        ice40_pll(12e6, 5e6)


def test_absent_tools(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RefusedError) as error:
        find_tool("no-such-tool")
    assert str(error.value) == (
        "no no-such-tool: install it with `pip install yowasp-no-such-tool`, or name one in the "
        "environment variable NO_SUCH_TOOL"
    )
    monkeypatch.setenv("YOSYS", "nowhere")
    with pytest.raises(RefusedError, match="YOSYS names nowhere, which is no command; unset it"):
        find_tool("yosys")


def test_a_failing_tool_shows_its_last_words(tmp_path):
    code = "print('much'); print('ERROR: no luck'); raise SystemExit(3)"
    log = tmp_path / "tool.log"
    with pytest.raises(ToolError) as error:
        run_tool([sys.executable, "-c", code], directory=tmp_path, log=log)
    assert str(error.value).endswith(
        f" stopped with status 3 and said:\n  ERROR: no luck\nIts log: {log}"
    )


@pytest.mark.parametrize("limited", [True, False])
def test_a_tool_that_does_not_end(tmp_path, monkeypatch, limited):
    """Its processor time is limited, or where the system cannot the time it takes."""
    if not limited:
        monkeypatch.setattr(tools, "resource", None)
    command = [sys.executable, "-c", "while True: pass"]
    log = tmp_path / "tool.log"
    with pytest.raises(ToolStalledError) as error:
        run_tool(command, directory=tmp_path, log=log, patience=1)
    assert str(error.value).endswith(
        f" did not come to its end within 1 s and was stopped\nIts log: {log}"
    )
    run_tool([sys.executable, "-c", "print(1)"], directory=tmp_path, log=log, patience=10)
    assert log.read_text() == "1\n"


def test_a_placement_that_is_never_routed(tmp_path, monkeypatch):
    """The next one is tried; only where none comes to an end it is an error."""
    tried = []

    def place(job, seed):
        tried.append(seed)
        if seed in stalling:
            raise ToolStalledError(f"nextpnr stalled with seed {seed}")

    monkeypatch.setattr(Build, "place_seed", place)
    monkeypatch.setattr(Build, "timing", lambda job: (30.0 + tried[-1], tried[-1] == 5))
    monkeypatch.setattr(Build, "_report", lambda job, seed, met: (seed, met))
    board = BOARDS["icebreaker"]
    stalling = {2}
    assert Build(board.config, board, tmp_path, seeds=(2, 5, 1))._place() == (5, True)
    assert tried == [2, 5]
    tried.clear()
    # The best of those that end, placed again since another came after it.
    assert Build(board.config, board, tmp_path, seeds=(4, 2, 3))._place() == (4, False)
    assert tried == [4, 2, 3, 4]
    stalling = {2, 3}
    with pytest.raises(ToolStalledError, match=r"^nextpnr stalled with seed 3$"):
        Build(board.config, board, tmp_path, seeds=(2, 3))._place()


#: Dies of the signal of its first argument, and leaves a file that the next time lives by.
DIES_ONCE = """
import os, pathlib, sys
again = pathlib.Path("again")
if not again.exists():
    again.touch()
    print("ERROR: dying", flush=True)
    os.kill(os.getpid(), int(sys.argv[1]))
print("done")
"""


def test_a_tool_killed_by_a_bus_error_runs_again(tmp_path):
    log = tmp_path / "tool.log"
    command = [sys.executable, "-c", DIES_ONCE, str(int(signal.SIGBUS))]
    run_tool(command, directory=tmp_path, log=log)
    assert log.read_text() == "done\n"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_tool_killed_otherwise_does_not(tmp_path, number):
    command = [sys.executable, "-c", DIES_ONCE, str(int(number))]
    with pytest.raises(ToolError, match=f"stopped with status -{int(number)} and said:"):
        run_tool(command, directory=tmp_path, log=tmp_path / "tool.log")


def test_a_tool_runs_twice_at_the_most(tmp_path):
    code = "import os, signal; open('runs', 'a').write('x'); os.kill(os.getpid(), signal.SIGBUS)"
    with pytest.raises(ToolError, match=f"stopped with status -{int(signal.SIGBUS)} without a"):
        run_tool([sys.executable, "-c", code], directory=tmp_path, log=tmp_path / "tool.log")
    assert (tmp_path / "runs").read_text() == "xx"


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (
            "Info:   ICESTORM_LC:  6000/  5280   113%\nInfo:  ICESTORM_RAM:  3/ 30  10%\nERROR: x",
            "the design does not fit iCEBreaker: it needs 6000 logic cells of 5280 (720 too many); "
            "choose a smaller array, smaller memories or another board",
        ),
        (
            "Info:   ICESTORM_LC:  5200/  5280    98%\n"
            "ERROR: Unable to find legal placement for cell 'x' of type 'ICESTORM_LC' after 9",
            "the design does not fit iCEBreaker: its 5200 logic cells of 5280 cannot all be "
            "placed; choose a smaller array, smaller memories or another board",
        ),
    ],
)
def test_too_large(tmp_path, log, message):
    board = BOARDS["icebreaker"]
    job = Build(board.config, board, tmp_path)
    assert str(job._too_large(log)) == message


@pytest.mark.slow
@pytest.mark.parametrize("name", ["icebreaker", "upduino-v3", "ulx3s-25f", "orangecrab-25f"])
def test_builds_twice_the_same_and_at_once(tmp_path, standin, name):
    # The stand-in reads, adds and writes in one cycle: it is not as quick as the core.
    slow = {"ulx3s-25f": 75, "orangecrab-25f": 72}
    board = dataclasses.replace(BOARDS[name], target_mhz=slow.get(name, 36))
    config = dataclasses.replace(standin.CONFIG, activation_depth=4)
    sums, reports = [], []
    for folder in ("one", "two"):
        core = standin.Standin(config)
        report = build(config, board, tmp_path / folder, core=core)
        reports.append(report)
        sums.append(zlib.crc32((tmp_path / folder / report.files["bitstream"]).read_bytes()))
        assert json.loads((tmp_path / folder / "build.json").read_text()) == dataclasses.asdict(
            report
        )
    assert sums[0] == sums[1]
    assert reports[0].timing_met
    assert reports[0].fmax_mhz >= reports[0].target_mhz
    assert not any(reports[0].cached.values())
    assert all(reports[1].cached.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["icebreaker", "ulx3s-25f", "tang-nano-9k"])
def test_nothing_of_a_bitstream_is_chance(tmp_path, standin, monkeypatch, name):
    """Made twice, with nothing from a cache, every file for the board and before it is the same."""
    board = dataclasses.replace(BOARDS[name], target_mhz=36, baud=1_000_000)
    config = dataclasses.replace(standin.CONFIG, activation_depth=4)
    made = []
    for folder in (tmp_path / "one", tmp_path / "another"):
        monkeypatch.setenv("WEFT_CACHE", str(folder / "cache"))
        job = Build(config, board, folder / "build", core=standin.Standin(config), seeds=(1,))
        report = job.run(require_timing=False)
        assert not any(report.cached.values())
        files = ("top.il", "top.json", job.routed, report.files["bitstream"])
        made.append({file: (folder / "build" / file).read_bytes() for file in files})
    one, another = made
    assert [file for file, data in one.items() if data != another[file]] == []


@pytest.mark.slow
def test_a_missed_clock_is_refused(tmp_path, standin):
    config = dataclasses.replace(standin.CONFIG, activation_depth=4)
    board = dataclasses.replace(BOARDS["icebreaker"], target_mhz=120, baud=1_000_000)
    core = standin.Standin(config)
    with pytest.raises(RefusedError, match=r"reaches \S+ MHz after routing and wants 120.00 MHz"):
        build(config, board, tmp_path, core=core, seeds=(1, 2))
    report = json.loads((tmp_path / "build.json").read_text())
    assert not report["timing_met"]
    assert "bitstream" not in report["files"]


def test_gowin_s_plan_is_in_the_words_of_today(tmp_path, standin):
    """Amaranth's calls a nextpnr that is no more."""
    board = BOARDS["tang-nano-9k"]
    config = dataclasses.replace(standin.CONFIG, activation_depth=4)
    job = Build(config, board, tmp_path, core=standin.Standin(config))
    job.elaborate()
    assert " -top top -json top.json" in job.files["top.ys"]
    assert 'IO_LOC "clk27_0__io" 52;' in job.files["top.cst"]
    _, place, pack = (job._command(tool)[1:] for tool in board.toolchain)
    assert place == [
        "--log", "top.tim", "--device", "GW1NR-LV9QN88PC6/I5", "--vopt", "family=GW1N-9C",
        "--vopt", "cst=top.cst", "--freq", "108.000", "--json", "top.json",
        "--write", "top.pnr.json",
    ]  # fmt: skip
    assert pack == [
        "-d", "GW1N-9C", "-o", "top.fs", "--sspi_as_gpio", "--mspi_as_gpio", "top.pnr.json",
    ]  # fmt: skip


def test_half_of_gowin_s_frequency_is_trusted(tmp_path):
    board = BOARDS["tang-nano-9k"]
    job = Build(board.config, board, tmp_path)
    job.target = Target(board, board.config)
    for achieved, expected in ((110.0, (55.0, True)), (106.0, (53.0, False))):
        report = {"fmax": {"clk": {"achieved": achieved, "constraint": 108.0}}}
        (tmp_path / "report.json").write_text(json.dumps(report))
        assert job.timing() == expected


def test_large_memories_are_loaded_after_reset(tmp_path):
    """Those of an iCE40 have no initial contents: the bitstream holds no program."""
    board = BOARDS["icebreaker"]
    assert board.configs == (board.config, board.large)
    assert [board.keeps(config) for config in board.configs] == [True, False]
    for config in board.configs:
        made = dataclasses.replace(standin.program(1), config=config)
        job = Build(made, board, tmp_path)
        assert (job.program is not None) == board.keeps(config)
        assert (job.booted is not None) == board.boots(config)
        assert job.program_digest == made.digest
    assert Target(board, board.large).clock == Target(board, board.config).clock
