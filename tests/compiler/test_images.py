"""Memory images: rows as wide as the memories, and the last instruction marked as such."""

from dataclasses import replace

import numpy as np
import pytest

from weft.compiler.images import images
from weft.compiler.schedule import Schedule
from weft.hw.config import Config, Space
from weft.hw.isa import Instruction, decode, instruction_words


def schedule(config, tables=1) -> Schedule:
    rng = np.random.default_rng(0)
    lanes = config.lanes
    return Schedule(
        config,
        instructions=[Instruction(weight=1), Instruction(target=3)],
        weights=list(rng.integers(-128, 128, (5, config.rows, config.columns), np.int8)),
        parameters=[(rng.integers(-(2**31), 2**31, lanes), np.arange(lanes)) for _ in range(7)],
        tables=list(rng.integers(-128, 128, (tables, 256), np.int8)),
    )


CONFIGS = [Config(rows=4, columns=4), Config(rows=3, columns=5), Config(rows=6, columns=9, lanes=3)]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.rows}x{c.columns}")
def test_row_sizes(config):
    made = images(schedule(config))
    rows = {Space.WEIGHT: 5, Space.PARAMETER: 7, Space.TABLE: 256,
            Space.PROGRAM: 2 * instruction_words(config)}  # fmt: skip
    assert {space: image.shape for space, image in made.items()} == {
        space: (count, config.row_bytes(space)) for space, count in rows.items()
    }
    assert all(image.dtype == np.uint8 for image in made.values())


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.rows}x{c.columns}")
def test_contents(config):
    plan = schedule(config, tables=2)
    made = images(plan)
    tiles = made[Space.WEIGHT].view(np.int8).reshape(-1, config.rows, config.columns)
    np.testing.assert_array_equal(tiles, plan.weights)
    parameters = made[Space.PARAMETER].view("<i4").reshape(-1, config.lanes, 2)
    np.testing.assert_array_equal(parameters[..., 0], [bias for bias, _ in plan.parameters])
    np.testing.assert_array_equal(parameters[..., 1], [shift for _, shift in plan.parameters])
    np.testing.assert_array_equal(made[Space.TABLE].view(np.int8).reshape(-1, 256), plan.tables)


def test_only_the_last_instruction_is_the_end():
    config = CONFIGS[0]
    plan = schedule(config)
    words = images(plan)[Space.PROGRAM].view("<u4").reshape(2, -1)
    assert [decode(row, config) for row in words] == [
        plan.instructions[0], replace(plan.instructions[1], end=1)
    ]  # fmt: skip


def test_empty_memories_have_no_image():
    assert Space.TABLE not in images(schedule(CONFIGS[0], tables=0))
