"""``weft estimate``: figures, their keys, what does not fit, and how long it takes."""

import json
import time
from dataclasses import asdict, replace

import numpy as np
import onnx
import published
import pytest
from onnx import TensorProto, helper

from weft.boards.builds import recorded_builds
from weft.boards.fmax import Fmax, estimate_fmax, unknown_because
from weft.boards.registry import BOARDS
from weft.cli import main
from weft.commands.estimate import estimate
from weft.commands.estimate_show import WORDS
from weft.compiler.roofline import Ideal
from weft.hw.area import estimate_area
from weft.hw.config import Config

KEYS = {"board", "config", "fits", "reasons", "cycles", "multipliers", "utilization", "luts",
        "block_rams", "fmax_mhz", "latency_ms", "layers"}  # fmt: skip
LAYER_KEYS = {"name", "op", "macs", "cycles", "utilization", "ideal", "bound"}

#: Seconds for a model on a board.
PATIENCE = 2


@pytest.fixture(scope="module")
def quantized(tmp_path_factory, digits_onnx):
    """The digits network, calibrated on random images."""
    folder = tmp_path_factory.mktemp("quantized")
    random = np.random.default_rng(0)
    np.savez(folder / "x.npz", inputs=random.integers(0, 17, (16, 1, 8, 8)).astype(np.float32))
    int8, data = folder / "int8.onnx", folder / "x.npz"
    assert main(["quantize", str(digits_onnx), "--data", str(data), "-o", str(int8)]) == 0
    return int8


def run_json(capsys, *arguments):
    capsys.readouterr()
    status = main(["estimate", *map(str, arguments), "--json"])
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return status, json.loads(out)


def failure(capsys, *arguments):
    capsys.readouterr()
    status = main(["estimate", *map(str, arguments)])
    streams = capsys.readouterr()
    assert streams.out == ""
    return status, streams.err[streams.err.rindex("rror: ") + len("rror: ") :]


def test_every_board_by_default(capsys, quantized):
    status, found = run_json(capsys, quantized)
    assert status == 0
    assert found.keys() == {"model", "boards"}
    assert found["model"] == str(quantized)
    assert [entry["board"] for entry in found["boards"]] == list(BOARDS)
    for entry in found["boards"]:
        board = BOARDS[entry["board"]]
        config = Config(**entry["config"])
        area, fmax = estimate_area(config, board.family), estimate_fmax(config, board)
        assert entry.keys() >= KEYS
        assert entry["fits"] is True
        assert entry["reasons"] == []
        assert entry["own_config"] is True
        assert entry["configuration"] == "config"
        assert config == board.config
        assert entry["multipliers"] == config.multipliers
        assert entry["macs"] == 97_088
        assert entry["utilization"] == 97_088 / (config.multipliers * entry["cycles"])
        assert (entry["luts"], entry["block_rams"]) == (area.lut4, area.block_rams)
        assert entry["fmax_reason"] == unknown_because(config, board)
        if fmax is None:
            assert entry["fmax_mhz"] is entry["latency_ms"] is None
            assert entry["fmax_reason"]
        else:
            assert entry["fmax_reason"] is None
            assert entry["fmax_mhz"] == fmax.mhz
            assert entry["latency_ms"] == pytest.approx(entry["cycles"] / fmax.mhz / 1000)
        assert sum(layer["cycles"] for layer in entry["layers"]) == entry["cycles"]
        for layer in entry["layers"]:
            assert layer.keys() == LAYER_KEYS
            ideal = layer["ideal"]
            assert ideal.keys() == Ideal.__dataclass_fields__.keys() == WORDS.keys()
            assert ideal[layer["bound"]] == max(ideal.values())


def test_cycles_are_the_compiler_s(capsys, quantized, tmp_path):
    for arguments in (["--board", "icebreaker"], ["--array", "8x4", "--lanes", "2"]):
        run = ["compile", str(quantized), *arguments, "-o", str(tmp_path / "out"), "--json"]
        capsys.readouterr()
        assert main(run) == 0
        compiled = json.loads(capsys.readouterr().out)
        entry = run_json(capsys, quantized, *arguments)[1]["boards"][0]
        assert entry["cycles"] == compiled["cycles"]
        assert entry["config"] == compiled["config"]
        names = [(layer["name"], layer["cycles"]) for layer in compiled["layers"]]
        assert [(layer["name"], layer["cycles"]) for layer in entry["layers"]] == names


def test_arrays_on_every_board(capsys, quantized):
    status, found = run_json(capsys, quantized, "--array", "4x4", "--array", "16x16")
    assert status == 0  # one that fits is enough where no board was named
    assert [(e["board"], e["multipliers"], e["fits"]) for e in found["boards"]] == [
        (board, count, count == 16) for board in BOARDS for count in (16, 256)
    ]
    entry = found["boards"][1]
    assert entry["reasons"][0] == {
        "node": "multiplier blocks",
        "op": "device",
        "reason": "the core takes 128 and the iCEBreaker has 8",
        "remedy": "use a smaller array, fewer lanes or a larger board",
    }


def test_a_model_that_does_not_fit_still_has_figures(capsys, quantized, monkeypatch):
    tight = {"activation_depth": 16, "weight_depth": 8, "tables": 0}
    for name, board in BOARDS.items():
        small = replace(board, config=replace(board.config, **tight), large=None)
        monkeypatch.setitem(BOARDS, name, small)
    status, found = run_json(capsys, quantized, "--board", "icebreaker")
    (entry,) = found["boards"]
    assert status == 1
    assert entry["fits"] is False
    assert entry["own_config"] is False
    assert entry["configuration"] is None
    nodes = [reason["node"] for reason in entry["reasons"]]
    assert nodes[:2] == ["activation", "weight"]  # all at once
    for reason in entry["reasons"][:2]:
        assert reason["op"] == "memory"
        assert "bytes and the network needs" in reason["reason"]
        assert reason["remedy"] == "no board here has room for it; use a smaller network"
    assert entry["config"]["weight_depth"] > 8
    assert entry["cycles"] > 0
    assert entry["layers"]
    assert run_json(capsys, quantized)[0] == 1  # no board is left
    assert main(["estimate", str(quantized), "--board", "icebreaker"]) == 1
    out = capsys.readouterr().out
    assert f"iCEBreaker: does not fit, {len(nodes)} reasons\n" in out
    assert "  memory 'weight': it has 128 bytes and the network needs " in out
    assert "    -> no board here has room for it; use a smaller network\n" in out
    assert "memories as deep, and parts as many" in out.replace("\n", " ")


def test_remedies_name_boards_where_it_fits(capsys, quantized, monkeypatch):
    board = BOARDS["icebreaker"]
    small = replace(board, config=replace(board.config, weight_depth=8), large=None)
    monkeypatch.setitem(BOARDS, "icebreaker", small)
    status, found = run_json(capsys, quantized, "--board", "icebreaker")
    assert status == 1
    (reason,) = found["boards"][0]["reasons"]
    assert reason["remedy"] == (
        "use --board upduino-v3 or ulx3s-12f or ulx3s-25f (or one of 7 more), where the network "
        "fits"
    )
    assert run_json(capsys, quantized)[0] == 0
    named = run_json(capsys, quantized, "--board", "icebreaker", "--board", "ulx3s-85f")
    assert named[0] == 1
    assert [entry["fits"] for entry in named[1]["boards"]] == [False, True]


LARGE = "On icebreaker its configuration for large networks (large) alone has room; "


def assert_as_compiled(capsys, model, folder, monkeypatch):
    """On the iCEBreaker: the configuration and the cycles that ``weft compile`` says."""
    monkeypatch.setenv("COLUMNS", "80")
    arguments = ["--board", "icebreaker", "-o", str(folder), "--json"]
    assert main(["compile", str(model), *arguments]) == 0
    compiled = json.loads(capsys.readouterr().out)
    status, found = run_json(capsys, model, "--board", "icebreaker")
    (entry,) = found["boards"]
    assert status == 0
    assert entry["fits"] is entry["own_config"] is True
    assert entry["reasons"] == []
    assert entry["configuration"] == "large"
    large = BOARDS["icebreaker"].large
    assert entry["config"] == compiled["config"] == asdict(large)
    assert entry["config_digest"] == large.digest
    assert entry["cycles"] == compiled["cycles"]
    assert entry["block_rams"] == estimate_area(large, "ice40").block_rams
    assert main(["estimate", str(model), "--board", "icebreaker"]) == 0
    text = capsys.readouterr().out
    assert max(len(line) for line in text.splitlines() if str(model) not in line) <= 80
    assert LARGE in " ".join(text.split()) + " "


def test_the_second_configuration_of_a_board(capsys, quantized, tmp_path, monkeypatch):
    """What does not fit the first one is tried on the large one, as by ``weft compile``."""
    board = BOARDS["icebreaker"]
    assert main(["estimate", str(quantized), "--board", "icebreaker"]) == 0
    assert LARGE not in " ".join(capsys.readouterr().out.split())
    small = replace(board, config=replace(board.config, weight_depth=8))
    monkeypatch.setitem(BOARDS, "icebreaker", small)
    assert_as_compiled(capsys, quantized, tmp_path / "out", monkeypatch)
    # Where neither has room, it is the large one that is too small.
    large = replace(board.large, weight_depth=9, copies=0)
    monkeypatch.setitem(BOARDS, "icebreaker", replace(small, large=large))
    status, found = run_json(capsys, quantized, "--board", "icebreaker")
    (entry,) = found["boards"]
    assert status == 1
    assert entry["configuration"] is None
    (reason,) = entry["reasons"]
    assert "it has 144 bytes and the network needs " in reason["reason"]


def test_kws_fits_the_second_configuration(capsys, tmp_path, monkeypatch):
    """MLPerf Tiny's, with power-of-two scales."""
    model, int8 = published.model_file("kws"), tmp_path / "kws.onnx"
    np.savez(tmp_path / "x.npz", inputs=published.arrays("kws", "tests.npz")["inputs"])
    data = ["--data", str(tmp_path / "x.npz"), "--scales", "shift"]
    assert main(["quantize", str(model), *data, "-o", str(int8)]) == 0
    capsys.readouterr()
    assert_as_compiled(capsys, int8, tmp_path / "out", monkeypatch)


def test_an_fpga_whose_clock_is_not_known(capsys, quantized):
    name = "tang-nano-9k"
    arguments = ["--board", name, "--array", "2x2"]
    entry = run_json(capsys, quantized, *arguments)[1]["boards"][0]
    assert entry["fmax_mhz"] is entry["latency_ms"] is entry["fmax_margin"] is None
    assert main(["estimate", str(quantized), *arguments]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"The clock on {name} is not estimated: {entry['fmax_reason']}." in text


def test_a_board_s_own_configuration_was_built(capsys, quantized):
    for name, made in recorded_builds().items():
        entry = run_json(capsys, quantized, "--board", name)[1]["boards"][0]
        assert (entry["fmax_mhz"], entry["fmax_margin"]) == (made.fmax_mhz, 0)
        assert entry["fmax_recorded"]
        assert main(["estimate", str(quantized), "--board", name]) == 0
        text = " ".join(capsys.readouterr().out.split())
        assert f"MHz of a recorded build, after place and route: {name}." in text


def test_parts_that_no_build_had(capsys, quantized, monkeypatch):
    found = Fmax(40.0, 0.1, 5, ("window",))
    monkeypatch.setattr("weft.commands.estimate.estimate_fmax", lambda config, board: found)
    entry = run_json(capsys, quantized, "--board", "icebreaker")[1]["boards"][0]
    assert entry["fmax_unseen"] == ["window"]
    assert entry["latency_ms"] == pytest.approx(entry["cycles"] / 40_000)
    assert main(["estimate", str(quantized), "--board", "icebreaker"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "No build with a window is recorded for iCE40UP5K-SG48: what that costs" in text
    assert "MHz, after place and route, within 10% on icebreaker (5 builds)" in text


def test_a_board_named_twice_is_one(quantized):
    found = estimate(quantized, boards=["icebreaker", "ICEBREAKER"])
    assert [one.board.name for one in found.boards] == ["icebreaker"]


@pytest.mark.parametrize("more", [[], ["--board", "icebreaker"], ["--array", "8x8"]])
def test_tables_in_80_columns(capsys, quantized, monkeypatch, more):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["estimate", str(quantized), *more]) in (0, 1)
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if str(quantized) not in line]
    assert max(map(len, lines)) <= 80
    assert "LUTs, of the core without its link, within" in out.replace("\n", " ")
    layers = "the largest is the bound" in " ".join(out.split())
    assert layers == (more == ["--board", "icebreaker"])


def test_messages(capsys, quantized, digits_onnx, tmp_path):
    assert failure(capsys, digits_onnx) == (
        1,
        f"{digits_onnx} is a float model without scales; quantize it first: "
        f"weft quantize {digits_onnx} --data X.npz -o digits_int8.onnx\n",
    )
    assert failure(capsys, quantized, "--board", "arty") == (
        2,
        f"no board 'arty'; the boards are {', '.join(BOARDS)}\n",
    )
    status, message = failure(capsys, quantized, "--array", "8")
    assert status == 2
    assert "'8' is not an array shape; write rows x columns as 8x8" in message
    status, message = failure(capsys, quantized, "--array", "100x100")
    assert status == 2
    assert "an array of 100 x 100 has more than 1,024 multipliers" in message
    status, message = failure(capsys, quantized, "--lanes", "2")
    assert (status, message) == (2, "--lanes says more of --array RxC; give that too.\n")
    status, message = failure(capsys, quantized, "--rounding", "double")
    assert status == 2
    assert "is no TFLite model" in message
    status, message = failure(capsys, tmp_path / "none.onnx")
    assert status == 2


def test_a_model_that_cannot_run_names_everything(capsys, tmp_path):
    """What no array could mend is said as by ``weft compile``."""
    shape = [1, 4]
    info = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Erf", ["x"], ["y"], name="one"),
        helper.make_node("Det", ["y"], ["z"], name="two"),
    ]
    graph = helper.make_graph(
        nodes, "test", [info("x", TensorProto.FLOAT, shape)], [info("z", TensorProto.FLOAT, shape)]
    )
    path = tmp_path / "bad.onnx"
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
    compiled = main(["compile", str(path), "--array", "4x4", "-o", str(tmp_path / "out")])
    expected = capsys.readouterr().err
    assert main(["estimate", str(path)]) == compiled == 1
    assert capsys.readouterr().err == expected
    assert "one" in expected
    assert "two" in expected


@pytest.mark.parametrize("name", published.FILES)
def test_published_models_take_two_seconds_at_most(capsys, name):
    path = published.model_file(name)
    # One for each set of configurations: others with the same FPGA take as long.
    for board in {board.configs: name for name, board in BOARDS.items()}.values():
        start = time.process_time()
        status, found = run_json(capsys, path, "--board", board)
        seconds = time.process_time() - start
        (entry,) = found["boards"]
        assert seconds < PATIENCE, f"{name} on {board}: {seconds:.1f} s"
        assert status == (0 if entry["fits"] else 1)
        assert entry["fits"] == (not entry["reasons"])
        assert entry["cycles"] == sum(layer["cycles"] for layer in entry["layers"]) > 0
        # Zeros that are skipped aside, nothing is faster than the array.
        assert 0 < entry["utilization"] <= 1
        if entry["fits"]:
            assert entry["configuration"] == "config"
            assert entry["config"] == asdict(BOARDS[board].config)
