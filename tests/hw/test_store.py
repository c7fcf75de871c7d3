"""Store: addresses and lane groups of every code, against indices computed afresh."""

import numpy as np
import pytest
from blocks import play

from weft.hw.collect import Group
from weft.hw.config import Config
from weft.hw.decoder import late_layout
from weft.hw.step import Next
from weft.hw.store import Store

CASES = [  # rows, columns, lanes, simulator
    (8, 4, 2, "verilator"),
    (8, 4, 2, "icarus"),
    (8, 4, 2, "amaranth"),
    (4, 8, 4, "icarus"),
    (4, 8, 2, "icarus"),
    (6, 9, 3, "icarus"),
    (5, 3, 1, "icarus"),
    (1, 1, 1, "icarus"),
]
DEPTH = 64


@pytest.mark.parametrize(("rows", "columns", "lanes", "simulator"), CASES)
@pytest.mark.parametrize("seed", range(2))
def test_writes(rows, columns, lanes, simulator, seed):
    rng = np.random.default_rng(seed)
    config = Config(rows=rows, columns=columns, lanes=lanes, activation_depth=DEPTH)
    layout = late_layout(config)
    stimulus = {"fields": [], "begin": [], "group": [], "codes": []}
    expected = [None]

    def cycle(fields, begin=0, group=0, write=None):
        codes = int.from_bytes(rng.bytes(lanes), "little")
        stimulus["fields"].append(fields)
        stimulus["begin"].append(begin)
        stimulus["group"].append(group)
        stimulus["codes"].append(codes)
        expected.append(None if write is None else (*write, codes))

    for _ in range(60):
        tiles, height, width = (int(x) for x in rng.integers(1, 5, 3))
        target, along_x, along_y = (int(x) for x in rng.integers(0, DEPTH, 3))
        target_group = int(rng.integers(0, rows // lanes))
        last_group = int(rng.integers(0, config.groups))
        fields = layout.const(
            {
                "target": target,
                "target_ox": along_x,
                "target_oy": along_y,
                "target_group": target_group,
                "last_group": last_group,
            }
        ).as_bits()
        cycle(fields, begin=1)
        for tile, oy, ox in np.ndindex(tiles, height, width):
            ends = (ox == width - 1, oy == height - 1, tile == tiles - 1)
            # The innermost loop that has another turn.
            following = (Next.OX, Next.OY, Next.TILE, Next.END)[[*ends, False].index(False)]
            for group in range(config.groups):
                skip = tile == tiles - 1 and group > last_group
                place = target_group + tile * config.groups + group
                address = target + oy * along_y + ox * along_x + place // (rows // lanes)
                flags = Group.const(
                    {
                        "valid": 1,
                        "skip": int(skip),
                        "final": int(group == config.groups - 1),
                        "next": following,
                    }
                ).as_bits()
                write = (address % DEPTH, place % (rows // lanes))
                cycle(fields, group=flags, write=None if skip else write)
            for _ in range(rng.integers(0, 4) if rng.random() < 0.5 else 0):
                cycle(fields)
    seen = play(Store(config), stimulus, simulator=simulator)
    writes = [
        (int(address), int(lane_group), int(data)) if enable else None
        for enable, address, lane_group, data in zip(
            seen["enable"], seen["address"], seen["lane_group"], seen["data"], strict=True
        )
    ]
    assert writes == expected[: len(writes)]
