"""Collect: groups in order, with their parameters and flags, at their exact cycles."""

import numpy as np
import pytest
from blocks import play

from weft.hw.collect import Collect, Group
from weft.hw.config import Config
from weft.hw.decoder import late_layout
from weft.hw.step import Next, Pixel

CASES = [  # columns, lanes, simulator
    (4, 4, "icarus"),
    (6, 3, "amaranth"),
    (6, 3, "icarus"),
    (6, 3, "verilator"),
    (4, 1, "icarus"),
    (3, 1, "icarus"),
]
WIDTH = 16


def pixels(tiles, height, width):
    """The flag `next` and the tile of every pixel of an instruction."""
    for tile in range(tiles):
        for oy in range(height):
            for ox in range(width):
                if ox < width - 1:
                    following = Next.OX
                elif oy < height - 1:
                    following = Next.OY
                else:
                    following = Next.TILE if tile < tiles - 1 else Next.END
                yield following, tile


@pytest.mark.parametrize(("columns", "lanes", "simulator"), CASES)
@pytest.mark.parametrize("seed", range(2))
def test_groups(columns, lanes, simulator, seed):
    rng = np.random.default_rng(seed)
    config = Config(rows=lanes, columns=columns, lanes=lanes, accumulator_bits=WIDTH)
    groups = config.groups
    layout = late_layout(config)
    stimulus = {"fields": [], "begin": [], "pixel": [], "totals": []}
    expected = {}  # cycle of a group's totals -> address, flags, values

    def cycle(fields, begin=0, pixel=0):
        stimulus["fields"].append(fields)
        stimulus["begin"].append(begin)
        stimulus["pixel"].append(pixel)
        totals = rng.integers(0, 1 << WIDTH, columns)
        stimulus["totals"].append(sum(int(x) << WIDTH * i for i, x in enumerate(totals)))

    for _ in range(60):
        tiles, height, width = (int(x) for x in rng.integers(1, 4, 3))
        parameter = int(rng.integers(0, config.parameter_depth - tiles * groups))
        last_group = int(rng.integers(0, groups))
        fields = layout.const(
            {"parameter": parameter, "last_group": last_group, "target": int(rng.integers(99))}
        ).as_bits()
        cycle(fields, begin=1)
        for _ in range(rng.integers(0, 5)):
            cycle(fields)
        for following, tile in pixels(tiles, height, width):
            last_tile = int(tile == tiles - 1)
            flags = Pixel.const({"valid": 1, "next": following, "last_tile": last_tile})
            for group in range(groups):
                expected[len(stimulus["begin"])] = (
                    parameter + tile * groups + group,
                    Group.const(
                        {
                            "valid": 1,
                            "skip": int(last_tile and group > last_group),
                            "stored": int(
                                group == groups - 1 or (last_tile and group == last_group)
                            ),
                            "final": int(group == groups - 1),
                            "next": following,
                        }
                    ).as_bits(),
                    group,
                )
                cycle(fields, pixel=flags.as_bits() if group == 0 else 0)
            # Exactly `groups` cycles apart as often as not.
            for _ in range(rng.integers(1, 6) if rng.random() < 0.5 else 0):
                cycle(fields)
        for _ in range(Collect.latency + 1):
            cycle(fields)
    # A pixel comes a cycle before its totals.
    stimulus["pixel"] = [*stimulus["pixel"][1:], 0]
    seen = play(Collect(config), stimulus, simulator=simulator)

    slice_bits = WIDTH * lanes
    got, want = [], []
    for t in range(len(stimulus["begin"]) - Collect.latency):
        flags = int(seen["group"][t + Collect.latency])
        if t not in expected:
            got.append(flags & 1)  # `valid` is the lowest bit
            want.append(0)
            continue
        address, flags_wanted, group = expected[t]
        values = stimulus["totals"][t] >> slice_bits * group & ((1 << slice_bits) - 1)
        got.append(
            (int(seen["parameter_address"][t]), flags, int(seen["values"][t + Collect.latency]))
        )
        want.append((address, flags_wanted, values))
    assert got == want


@pytest.mark.parametrize("simulator", ["icarus", "amaranth"])
@pytest.mark.parametrize("seed", range(2))
def test_two_results_of_a_pixel_come_one_by_one(simulator, seed):
    print("seed", seed)
    rng = np.random.default_rng(seed)
    config = Config(rows=16, columns=2, window=3, pairs=1, accumulator_bits=WIDTH)
    layout = late_layout(config)
    stimulus = {"fields": [], "begin": [], "pixel": []}
    expected = []
    for _ in range(60):
        tiles, height, width = (int(x) for x in rng.integers(1, 4, 3))
        parameter, last_group = int(rng.integers(99)), int(rng.integers(2))
        fields = {"parameter": parameter, "last_group": last_group, "pair": 1}
        turns = [(0, 1)]
        for following, tile in pixels(tiles, height, width):
            last_tile = int(tile == tiles - 1)
            for second in range(2):
                flags = {"valid": 1, "second": second, "next": following, "last_tile": last_tile}
                skip = int(last_tile and second > last_group)
                stored = int(second or (last_tile and last_group == 0))
                group = {"valid": 1, "skip": skip, "stored": stored, "final": second,
                         "next": following}  # fmt: skip
                turns.append((Pixel.const(flags).as_bits(), 0))
                number = len(stimulus["begin"]) + len(turns) - 1
                address = parameter + 2 * tile + second
                expected.append((number, address, Group.const(group).as_bits()))
        turns += [(0, 0)] * 3
        stimulus["pixel"] += [pixel for pixel, _ in turns]
        stimulus["begin"] += [begin for _, begin in turns]
        stimulus["fields"] += [layout.const(fields).as_bits()] * len(turns)
    # A pixel comes a cycle before its totals.
    stimulus["pixel"] = [*stimulus["pixel"][1:], 0]
    stimulus["totals"] = rng.integers(0, 1 << 2 * WIDTH, len(stimulus["begin"]))
    seen = play(Collect(config), stimulus, simulator=simulator)
    later = Collect.latency
    for cycle, address, group in expected:
        assert seen["parameter_address"][cycle] == address
        assert seen["group"][cycle + later] == group
        assert seen["values"][cycle + later] == stimulus["totals"][cycle]
