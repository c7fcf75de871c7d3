"""The sequencer against the seven loops of `weft.hw.isa`, cycle by cycle."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from blocks import play

from weft.compiler.cycles import issue_cycles
from weft.hw.accumulate import Action
from weft.hw.config import Config
from weft.hw.decoder import fields_layout
from weft.hw.isa import LOOPS, Instruction, bits, layout
from weft.hw.loops import Loops
from weft.hw.sequencer import Sequencer
from weft.hw.step import Next, Pixel

CASES = [  # lanes of 8, simulator: 1, 2, 4 and 8 groups
    (8, "icarus"),
    (4, "amaranth"),
    (4, "icarus"),
    (4, "verilator"),
    (2, "icarus"),
    (2, "amaranth"),
    (1, "icarus"),
]
DEPTH = 200


def random_instruction(rng, config):
    depth = 1 << bits(config.activation_depth)
    limits = {"block": 4, "kx": 4, "ky": 4, "digit": 4, "ox": 5, "oy": 4, "tile": 4}
    turns = {
        loop: 1 if rng.random() < 0.35 else int(rng.integers(1, limit + 1))
        for loop, limit in limits.items()
    }
    return Instruction(
        **{f"last_{loop}": count - 1 for loop, count in turns.items()},
        **{f"source_{loop}": int(rng.integers(depth)) for loop in LOOPS},
        source=int(rng.integers(depth)),
        origin_y=int(rng.integers(-4, 2)),
        origin_x=int(rng.integers(-4, 2)),
        **{f"{name}_{axis}": int(rng.integers(4)) for name in ("stride", "step") for axis in "yx"},
        height=int(rng.integers(1, 9)),
        width=int(rng.integers(1, 9)),
        weight=int(rng.integers(config.weight_depth)),
        hold_taps=int(rng.integers(2)),
        hold_tiles=int(rng.integers(2)),
    )


def steps(ins, config):
    """Every step as (source, weight, inside, action, pixel or None)."""
    turns = {loop: getattr(ins, f"last_{loop}") + 1 for loop in LOOPS}
    source, before = ins.source, None
    for turn in product(*(range(turns[loop]) for loop in reversed(LOOPS))):
        at = dict(zip(reversed(LOOPS), turn, strict=True))
        if before is not None:
            source += getattr(ins, f"source_{stepped(before, at)}")
        before = at
        index = 0
        for loop in ("tile", "digit", "ky", "kx", "block"):
            held = (loop == "tile" and ins.hold_tiles) or (loop in ("ky", "kx") and ins.hold_taps)
            index = index if held else index * turns[loop] + at[loop]
        y = ins.origin_y + at["oy"] * ins.stride_y + at["ky"] * ins.step_y
        x = ins.origin_x + at["ox"] * ins.stride_x + at["kx"] * ins.step_x
        inner = [at[loop] for loop in ("block", "kx", "ky")]
        first = not any(inner) and at["digit"] == 0
        action = Action.const(
            {"valid": 1, "first": int(first), "digit": int(not first and not any(inner))}
        )
        pixel = None
        if all(at[loop] == turns[loop] - 1 for loop in ("block", "kx", "ky", "digit")):
            names = {"ox": Next.OX, "oy": Next.OY, "tile": Next.TILE}
            more = (loop for loop in ("ox", "oy", "tile") if at[loop] < turns[loop] - 1)
            pixel = Pixel.const(
                {
                    "valid": 1,
                    "next": names.get(next(more, None), Next.END),
                    "last_tile": int(at["tile"] == turns["tile"] - 1),
                }
            ).as_bits()
        yield (
            source % (1 << bits(config.activation_depth)),
            (ins.weight + index) % (1 << bits(config.weight_depth)),
            int(0 <= y < ins.height and 0 <= x < ins.width),
            action.as_bits(),
            pixel,
        )


def stepped(before, at):
    """The outermost loop that moved: those inside it have returned to their start."""
    return next(loop for loop in reversed(LOOPS) if at[loop] != before[loop])


@pytest.mark.parametrize(("lanes", "simulator"), CASES)
@pytest.mark.parametrize("seed", range(2))
def test_steps(lanes, simulator, seed):
    rng = np.random.default_rng(seed)
    config = Config(
        rows=8, columns=8, lanes=lanes, activation_depth=DEPTH, weight_depth=500, tables=0
    )

    def pack(ins):
        names = [field.name for field in layout(config)]
        fields = fields_layout(config).const({name: getattr(ins, name) for name in names})
        return fields.as_bits()

    stimulus = {"fields": [], "begin": []}
    expected = {}  # cycle in which a step shows at the outputs -> step
    done = set()
    for _ in range(40):
        ins = random_instruction(rng, config)
        # It begins when the results of the one before have drained, so after `groups` cycles;
        # its limits are there before, and nothing else.
        noise = int.from_bytes(rng.bytes(64), "little")
        limits = {f"last_{loop}": getattr(ins, f"last_{loop}") for loop in LOOPS}
        early = pack(replace(random_instruction(rng, config), **limits))
        stimulus["fields"] += [noise] * config.groups + [early] * Loops.settle
        stimulus["begin"] += [0] * (config.groups + Loops.settle)
        begin = len(stimulus["begin"])
        issued, pixel_end = begin, None
        for step in steps(ins, config):
            issued += 1
            if step[-1] is not None:
                if pixel_end is not None:
                    issued = max(issued, pixel_end + config.groups)
                pixel_end = issued
            expected[issued + Sequencer.latency] = step
        assert issued - begin == issue_cycles(ins, config)
        done.add(issued)
        # From the fourth cycle behind `done` on the fields are another instruction's.
        kept = issued + 4 - begin
        stimulus["fields"] += [pack(ins)] * kept
        stimulus["begin"] += [1] + [0] * (kept - 1)
    seen = play(Sequencer(config), stimulus, simulator=simulator)

    got, want = [], []
    for t in range(1, len(stimulus["begin"]) - 1):
        step = expected.get(t)
        got.append((t, int(seen["done"][t])))
        want.append((t, int(t in done)))
        if step is None:
            got.append((int(seen["action"][t]) & 1, int(seen["pixel"][t]) & 1))
            want.append((0, 0))
            continue
        source, weight, inside, action, pixel = step
        flags = int(seen["pixel"][t])
        got.append(
            (
                int(seen["source"][t]),
                int(seen["weight"][t]),
                int(seen["inside"][t + 1]),
                int(seen["action"][t]),
                flags if flags & 1 else None,
            )
        )
        want.append((source, weight, inside, action, pixel))
    assert got == want
