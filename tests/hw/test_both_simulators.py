"""Icarus and Verilator see the same of every block: noise on all inputs, every output compared."""

import shutil

import numpy as np
import pytest
from amaranth.hdl import Shape
from amaranth.lib.wiring import Flow
from blocks import play

from weft.boards.crc import SerialCrc
from weft.boards.link import Link
from weft.boards.uart import Receiver, Transmitter
from weft.hw.accumulate import Accumulator
from weft.hw.array import Array
from weft.hw.collect import Collect
from weft.hw.config import Config
from weft.hw.copier import Copier
from weft.hw.core import Core
from weft.hw.decoder import Decoder
from weft.hw.elementwise import Elementwise
from weft.hw.elementwise_lanes import ElementwiseLanes
from weft.hw.gather import Gather
from weft.hw.intake import Intake
from weft.hw.interleave import Interleave
from weft.hw.loops import Loops
from weft.hw.memory import ActivationMemory, ParameterMemory, ProgramMemory, WeightMemory
from weft.hw.readback import ReadBack
from weft.hw.requantize import Requantize
from weft.hw.requantize_multiplier import RequantizeMultiplier
from weft.hw.rounding_shift import RoundingShift
from weft.hw.sequencer import Sequencer
from weft.hw.store import Store
from weft.hw.table import Tables
from weft.hw.window import Window

CYCLES = 400

#: With every part that a configuration may have, in sizes that both simulators run quickly.
FULL = Config(
    rows=12, columns=2, lanes=2, activation_depth=64, weight_depth=32, parameter_depth=32,
    program_depth=32, tables=1, window=3, multiplier_bits=31, elementwise=1, pairs=1,
)  # fmt: skip
#: That of the small iCE40s.
SMALL = Config(
    rows=4, columns=2, lanes=1, activation_depth=64, weight_depth=32, parameter_depth=32,
    program_depth=32, window=1, interleave=2, copies=1,
)  # fmt: skip

BLOCKS = {
    "accumulator": lambda: Accumulator(sum_width=19, width=27),
    "activation memory": lambda: ActivationMemory(FULL),
    "array": lambda: Array(FULL),
    "collect": lambda: Collect(FULL),
    "copier": lambda: Copier(SMALL),
    "core": lambda: Core(SMALL),
    "crc": SerialCrc,
    "decoder": lambda: Decoder(FULL),
    "elementwise": lambda: Elementwise(width=30, multiplier_bits=31),
    "elementwise lanes": lambda: ElementwiseLanes(FULL),
    "gather": lambda: Gather(FULL),
    "intake": Intake,
    "interleave": lambda: Interleave(SMALL),
    "link": lambda: Link(config_digest="0123456789abcdef", timeout=40),
    "loops": lambda: Loops(FULL),
    "parameter memory": lambda: ParameterMemory(FULL),
    "program memory": lambda: ProgramMemory(FULL),
    "read back": lambda: ReadBack(FULL),
    "receiver": lambda: Receiver(clock=4, baud=1),
    "requantize": lambda: Requantize(width=30),
    "requantize multiplier": lambda: RequantizeMultiplier(width=30, multiplier_bits=31),
    "rounding shift": lambda: RoundingShift(width=33, kept=10, fraction=0),
    "sequencer": lambda: Sequencer(FULL),
    "store": lambda: Store(FULL),
    "tables": lambda: Tables(FULL),
    "transmitter": lambda: Transmitter(clock=4, baud=1),
    "weight memory": lambda: WeightMemory(FULL),
    "window": lambda: Window(FULL),
}


def noise(component, rng):
    """Words for every input; those of one bit stay for a while, so that things get going."""
    found = {}
    for path, member, _ in component.signature.flatten(component):
        if member.flow == Flow.In:
            width = Shape.cast(member.shape).width
            bits = rng.integers(0, 2, (CYCLES, width)).astype(bool)
            if width == 1:
                bits = np.repeat(bits[: CYCLES // 8 + 1], 8, axis=0)[:CYCLES]
            found["__".join(map(str, path))] = [
                sum(1 << i for i, bit in enumerate(row) if bit) for row in bits
            ]
    return found


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus not installed")
@pytest.mark.parametrize("name", BLOCKS)
def test_same_traces(name):
    component = BLOCKS[name]()
    stimulus = noise(component, np.random.default_rng(len(name)))
    traces = [play(component, stimulus, simulator=s) for s in ("verilator", "icarus")]
    assert traces[0].keys() == traces[1].keys()
    for output, values in traces[0].items():
        differing = np.flatnonzero(values != traces[1][output])
        assert differing.size == 0, f"{output} differs first in cycle {differing[0]}"
    # Noise that nothing comes of would show nothing.
    assert any(len(set(values.tolist())) > 1 for values in traces[0].values())
