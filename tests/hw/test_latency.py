"""The table of latencies, which needs no Amaranth, equals what the gateware's parts state."""

import pytest

from weft.hw import array, elementwise_lanes, latency
from weft.hw.accumulate import Accumulator
from weft.hw.bank import Bank
from weft.hw.collect import Collect
from weft.hw.config import Config
from weft.hw.gather import Gather
from weft.hw.loops import Loops
from weft.hw.requantize import Requantize
from weft.hw.requantize_multiplier import RequantizeMultiplier
from weft.hw.sequencer import Sequencer
from weft.hw.store import Store
from weft.hw.table import Tables

CONFIGS = [
    Config(rows=1, columns=1),
    Config(rows=8, columns=8, tables=0),
    Config(rows=6, columns=9, lanes=3, tables=2),
    Config(rows=4, columns=16, lanes=1),
    Config(rows=2, columns=4, multiplier_bits=31),
    Config(rows=4, columns=2, multiplier_bits=16, elementwise=1),
    Config(rows=4, columns=3, multiplier_bits=16, elementwise=1),
    Config(rows=4, columns=8, lanes=2, single_port=1),
    Config(rows=4, columns=8, activation_depth=2048),
    Config(rows=4, columns=8, activation_depth=2049),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.rows}x{c.columns}x{c.lanes}")
def test_parts(config):
    requantize = RequantizeMultiplier if config.multiplier_bits else Requantize
    assert Bank.latency == latency.BANK
    assert Loops.settle == latency.LIMITS
    assert latency.pipeline(config) == {
        "sequence": Sequencer.latency,
        # And the register that fills in the padding.
        "read": latency.activation_read(config) + 1,
        "array": array.latency(config),
        "accumulate": Accumulator.latency,
        "collect": Collect.latency + config.groups - 1,
        "elementwise": elementwise_lanes.latency(config) if config.elementwise else 0,
        "requantize": requantize.latency,
        "table": Tables.latency if config.tables else 0,
        "store": Store.latency
        + (Gather.latency if config.single_port else 0)
        + latency.far_activations(config),
    }


@pytest.mark.parametrize(
    ("depth", "single_port", "far"), [(2048, 0, 0), (2049, 0, 1), (4096, 1, 0)]
)
def test_far_memories(depth, single_port, far):
    config = Config(rows=4, columns=4, activation_depth=depth, single_port=single_port)
    assert latency.far_activations(config) == far
    assert latency.activation_read(config) == Bank.latency + 2 * far


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.rows}x{c.columns}x{c.lanes}")
def test_drain_is_the_sum(config):
    parts = latency.pipeline(config)
    around = sum(cycles for part, cycles in parts.items() if part != "elementwise")
    assert latency.settle(config, elementwise=False) == around
    # From issue to the blocks the step that reads takes as long as the one that writes.
    until_blocks = parts["sequence"] + latency.far_activations(config)
    assert latency.drain(config, elementwise=False) == around - until_blocks + 1
    whole = sum(parts.values()) if config.elementwise else around
    assert latency.longest_drain(config) == whole - until_blocks + 1
