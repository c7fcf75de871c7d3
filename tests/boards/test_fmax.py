"""The model of the clock: what it is by, and what it says where nothing is known."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from weft.boards import fmax
from weft.boards.fmax import estimate_fmax, silicon, terms, unknown_because
from weft.boards.fmax_coefficients import BUILDS, COEFFICIENTS, MARGIN
from weft.boards.registry import BOARDS
from weft.hw.config import Config

ICE, ECP = BOARDS["icebreaker"], BOARDS["ulx3s-85f"]
#: Of no board.
OTHER = Config(rows=3, columns=2)


@pytest.mark.parametrize(
    ("device", "kind"),
    [
        ("LFE5U-85F-6BG381", "LFE5U-6"),
        ("LFE5U-25F-8BG256", "LFE5U-8"),
        ("LFE5UM5G-85F-8BG381", "LFE5UM5G-8"),
        ("iCE40UP5K-SG48", "iCE40UP"),
        ("iCE40HX8K-CT256", "iCE40HX"),
        ("GW1NR-9", "GW1NR-9"),
        ("GW1NR-LV9QN88PC6/I5", "GW1NR-9 C6/I5"),
        ("GW2A-LV18PG256C8/I7", "GW2A-18 C8/I7"),
    ],
)
def test_silicon(device, kind):
    assert silicon(replace(ICE, device=device)) == kind


def unrecorded(board):
    """As the board's own, and yet another."""
    return replace(board.config, program_depth=2 * board.config.program_depth)


@pytest.mark.parametrize("board", [ICE, ECP], ids=lambda board: board.name)
def test_the_period_is_the_sum_of_its_terms(board):
    kind, config = silicon(board), unrecorded(board)
    found = estimate_fmax(config, board)
    sizes = terms(config, board)
    assert sizes.keys() >= COEFFICIENTS[kind].keys()
    period = sum(weight * sizes[name] for name, weight in COEFFICIENTS[kind].items())
    assert found.mhz == pytest.approx(1000 / period)
    assert (found.margin, found.builds) == (MARGIN[kind], BUILDS[kind])
    assert found.builds > 1


def test_a_part_that_no_build_had_is_named(monkeypatch):
    monkeypatch.setitem(COEFFICIENTS, "iCE40UP", {"logic": 20.0, "wires": 0.1, "memories": 0.0})
    config = replace(ICE.config, rows=8, columns=2, lanes=2, window=2, multiplier_bits=8)
    assert estimate_fmax(unrecorded(ICE), ICE).unseen == ()
    assert estimate_fmax(config, ICE).unseen == ("window", "multiplier")


def test_larger_designs_are_not_faster():
    config = unrecorded(ECP)
    small = estimate_fmax(
        replace(config, rows=4, columns=4, lanes=4, window=0, pairs=0, table_multipliers=0), ECP
    ).mhz
    assert estimate_fmax(config, ECP).mhz <= small
    assert min(min(values.values()) for values in COEFFICIENTS.values()) >= 0


def test_an_fpga_without_builds():
    board = replace(ICE, device="iCE40HX8K-CT256", name="other")
    assert estimate_fmax(OTHER, board) is None
    assert unknown_because(OTHER, board) == (
        "too few builds are recorded for iCE40HX to fit a model; builds for the board run at 36 "
        "MHz, or are refused"
    )


MADE = SimpleNamespace(fmax_mhz=179.08, config_digest="0")


def test_one_recorded_build_is_told(monkeypatch):
    board = BOARDS["orangecrab-25f"]
    monkeypatch.setattr(fmax, "recorded_build", lambda _: MADE)
    assert unknown_because(OTHER, board) == (
        "too few builds are recorded for LFE5U-8 to fit a model; the board's own configuration "
        "came out at 179.1 MHz; builds for the board run at 192 MHz, or are refused"
    )


def test_gowin_s_clock_is_not_known(monkeypatch):
    monkeypatch.setattr(fmax, "recorded_build", lambda _: None)
    assert unknown_because(OTHER, BOARDS["tang-nano-9k"]) == (
        "nextpnr knows no delays of the multipliers of GW1NR-9 C6/I5, so its figures of builds are "
        "nothing that a model could be fitted to; builds for the board run at 54 MHz, or are "
        "refused"
    )


@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.name)
def test_a_clock_is_known_or_the_reason(board):
    for config in (board.config, OTHER):
        known = estimate_fmax(config, board)
        assert (known is None) == (unknown_because(config, board) is not None)
