"""Scheduling: tiles of weights, what is shared, and how tiles are grouped."""

import numpy as np
import pytest

from weft.compiler.passes import Pass
from weft.compiler.program import Placement
from weft.compiler.schedule import Schedule
from weft.hw.config import Config
from weft.hw.isa import DIGIT_BITS


def scheduled(kernel, config, *more, count=(3, 3), **options) -> Schedule:
    """Passes from tensor a to tensor b, one for each kernel."""
    schedule = Schedule(config)
    for one in (kernel, *more):
        kernel = np.asarray(one, np.int64)
        kh, kw, inputs = kernel.shape[:3]
        outputs = kernel.shape[-1]
        blocks = [-(-channels // config.rows) for channels in (inputs, outputs)]
        side = (count[0] + kh - 1, count[1] + kw - 1)
        placements = {
            "a": Placement(0, *side, inputs, blocks[0]),
            "b": Placement(200, *count, outputs, blocks[1]),
        }
        values = {"bias": np.arange(outputs), "shift": np.arange(outputs) % 32, **options}
        schedule.add(
            Pass(name="p", sources=("a",), target="b", kernel=kernel, count=count, **values),
            placements,
        )
    return schedule


def config(rows, columns, lanes=0):
    return Config(rows=rows, columns=columns, lanes=lanes, activation_depth=1000)


def used_tiles(schedule, index):
    """Tiles of one instruction: (tiles, digits, ky, kx, blocks, rows, columns)."""
    ins = schedule.instructions[index]
    tiles = 1 if ins.hold_tiles else ins.last_tile + 1
    taps = (1, 1) if ins.hold_taps else (ins.last_ky + 1, ins.last_kx + 1)
    shape = (tiles, ins.last_digit + 1, *taps, ins.last_block + 1)
    rows = np.array(schedule.weights[ins.weight : ins.weight + int(np.prod(shape))])
    rows = rows.reshape(*shape, schedule.config.rows, schedule.config.columns)
    full = (ins.last_tile + 1, shape[1], ins.last_ky + 1, ins.last_kx + 1, *rows.shape[4:])
    return np.broadcast_to(rows, full)


def reassembled(schedule, kernel):
    """The kernel again, from tiles and digits."""
    cfg = schedule.config
    kh, kw, inputs, outputs = np.shape(kernel)
    blocks = -(-inputs // cfg.rows)
    result = np.zeros((kh, kw, blocks * cfg.rows, outputs + cfg.columns), np.int64)
    for index, ins in enumerate(schedule.instructions):
        tiles = used_tiles(schedule, index).astype(np.int64)
        digits = tiles.shape[1]
        weights = 1 << DIGIT_BITS * np.arange(digits - 1, -1, -1)
        values = np.einsum("tdyxbrc,d->tyxbrc", tiles, weights)
        # Words from one tile to the next: all loops inside return to their start.
        run = ins.last_block + 1
        word, group = divmod(ins.target - 200, 1000)[1], ins.target_group
        first = word * cfg.rows + group * cfg.lanes
        for tile in range(len(values)):
            shared = tile // cfg.tiles_per_word if ins.share else 0
            low = (ins.source + tile * tile_step(ins) + shared) % 1024
            low %= blocks
            place = slice(low * cfg.rows, (low + run) * cfg.rows)
            part = values[tile].reshape(kh, kw, run * cfg.rows, cfg.columns)
            column = first + tile * cfg.columns
            count = min(cfg.columns, outputs - column)
            result[:, :, place, column : column + count] += part[..., :count]
    return result[:, :, :inputs, :outputs]


def tile_step(ins):
    """Words from one tile's first word to the next one's."""
    gone = 0
    for loop in ("block", "kx", "ky", "digit", "ox", "oy", "tile"):
        stride = getattr(ins, f"source_{loop}") + gone
        gone += getattr(ins, f"last_{loop}") * stride
    stride = stride % 1024
    return stride if stride < 512 else stride - 1024


@pytest.mark.parametrize("seed", range(24))
def test_tiles_and_digits_hold_the_kernel(seed):
    rng = np.random.default_rng(seed)
    lanes = int(rng.integers(1, 4))
    cfg = config(lanes * int(rng.integers(1, 4)), lanes * int(rng.integers(1, 4)), lanes)
    shape = (*rng.integers(1, 4, 2), *rng.integers(1, 20, 2))
    wide = 1 << int(rng.integers(3, 28))
    kernel = rng.integers(-wide, wide, shape)
    kernel[rng.random(shape) < rng.choice([0.0, 0.6, 0.95])] = 0
    np.testing.assert_array_equal(reassembled(scheduled(kernel, cfg), kernel), kernel)


@pytest.mark.parametrize(
    ("value", "digits"),
    [(0, 1), (127, 1), (-128, 1), (128, 2), (-129, 2), (127 * 128 + 63, 2), (127 * 128 + 64, 3),
     (-128 * 128 - 64, 2), (-128 * 128 - 65, 3), (1 << 27, 4), (1 << 28, 5)],
)  # fmt: skip
def test_number_of_digits(value, digits):
    schedule = scheduled([[[[value]]]], config(1, 1))
    assert schedule.instructions[0].last_digit == digits - 1
    base = 1 << DIGIT_BITS
    total = 0
    for tile in schedule.weights:
        total = total * base + int(tile[0, 0])
    assert total == value
    assert all(tile.dtype == np.int8 for tile in schedule.weights)


def test_equal_taps_are_held():
    schedule = scheduled(np.tile(np.eye(4), (3, 2, 1, 1)), config(4, 4))
    (ins,) = schedule.instructions
    assert (ins.hold_taps, ins.hold_tiles, len(schedule.weights)) == (1, 0, 1)


def test_one_tap_needs_no_holding():
    (ins,) = scheduled(np.eye(4)[None, None], config(4, 4)).instructions
    assert (ins.hold_taps, ins.hold_tiles) == (0, 0)


def test_equal_tiles_are_held():
    schedule = scheduled(np.eye(12)[None, None], config(4, 4))
    (ins,) = schedule.instructions
    assert (ins.hold_taps, ins.hold_tiles, ins.last_tile, ins.last_block) == (0, 1, 2, 0)
    assert tile_step(ins) == 1
    assert schedule.new_tiles == [1]


def test_one_different_tap_is_not_held():
    kernel = np.tile(np.eye(4), (3, 2, 1, 1))
    kernel[2, 1, 3, 3] = 2
    schedule = scheduled(kernel, config(4, 4))
    assert schedule.instructions[0].hold_taps == 0
    assert len(schedule.weights) == 6


def test_taps_and_tiles_are_held_together():
    schedule = scheduled(np.tile(np.eye(12) * 300, (2, 2, 1, 1)), config(4, 4))
    (ins,) = schedule.instructions
    assert (ins.hold_taps, ins.hold_tiles, ins.last_digit) == (1, 1, 1)
    assert len(schedule.weights) == 2


def test_equal_weights_are_stored_once():
    rng = np.random.default_rng(0)
    kernel, other = rng.integers(-99, 99, (2, 3, 3, 4, 4))
    schedule = scheduled(kernel, config(4, 4), other, kernel)
    assert [ins.weight for ins in schedule.instructions] == [0, 9, 0]
    assert schedule.new_tiles == [9, 9, 0]
    assert len(schedule.weights) == 18


def test_depthwise_tiles_read_their_own_words_only():
    kernel = np.zeros((3, 3, 16, 16), np.int64)
    kernel[:, :, range(16), range(16)] = np.arange(1, 17)
    (ins,) = scheduled(kernel, config(4, 4)).instructions
    assert (ins.last_block, ins.last_tile, tile_step(ins)) == (0, 3, 1)


def test_dense_tiles_read_all_words():
    (ins,) = scheduled(np.ones((1, 1, 16, 16), np.int64), config(4, 4)).instructions
    assert (ins.last_block, ins.last_tile, tile_step(ins)) == (3, 3, 0)


def test_uneven_words_take_several_instructions():
    kernel = np.zeros((1, 1, 16, 12), np.int64)
    # The first words of the three tiles are 0, 1 and 3.
    kernel[0, 0, (0, 4, 12), (0, 4, 8)] = 1
    schedule = scheduled(kernel, config(4, 4))
    assert [ins.last_tile for ins in schedule.instructions] == [1, 0]
    assert [ins.target for ins in schedule.instructions] == [200, 202]
    np.testing.assert_array_equal(reassembled(schedule, kernel), kernel)


def test_words_may_go_back():
    kernel = np.zeros((1, 1, 12, 12), np.int64)
    kernel[0, 0, range(11, -1, -1), range(12)] = 1
    schedule = scheduled(kernel, config(4, 4))
    assert [tile_step(ins) for ins in schedule.instructions] == [-1]
    np.testing.assert_array_equal(reassembled(schedule, kernel), kernel)


@pytest.mark.parametrize(
    ("rows", "columns", "lanes"), [(6, 4, 2), (4, 6, 2), (4, 12, 4), (3, 5, 1)]
)
def test_peak_tiles_end_where_words_end(rows, columns, lanes):
    channels = 17
    cfg = config(rows, columns, lanes)
    schedule = scheduled(np.tile(np.eye(channels), (2, 2, 1, 1)), cfg, peak=True)
    covered = []
    for index, ins in enumerate(schedule.instructions):
        assert ins.last_block == 0
        assert ins.peak == 1
        tiles = used_tiles(schedule, index)
        word, first = (ins.target - 200) % 1024, ins.target_group * lanes
        for tile in range(len(tiles)):
            base = word * rows + first + tile * columns
            # Every real channel of a tile has its 1 in the tile's one word.
            used = np.flatnonzero(tiles[tile, 0, 0, 0, 0].any(axis=0))
            assert (used == range(len(used))).all()
            assert base // rows == (base + len(used) - 1) // rows
            covered.extend(base + column for column in used)
    assert covered == list(range(channels))


def test_parameters_are_padded_to_whole_tiles():
    schedule = scheduled(np.ones((1, 1, 4, 10), np.int64), config(4, 8, 4))
    assert [bias.tolist() for bias, _ in schedule.parameters] == [
        [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 0], [0, 0, 0, 0],
    ]  # fmt: skip
    (ins,) = schedule.instructions
    assert (ins.last_tile, ins.last_group) == (1, 0)


def test_parameters_follow_one_another():
    kernel = np.ones((1, 1, 4, 10), np.int64)
    schedule = scheduled(kernel, config(4, 8, 4), kernel)
    assert [ins.parameter for ins in schedule.instructions] == [0, 4]


def test_equal_tables_are_stored_once():
    schedule = Schedule(config(4, 4))
    one, other = np.arange(256).astype(np.int8), np.zeros(256, np.int8)
    place = {"a": Placement(0, 1, 1, 4, 1), "b": Placement(9, 1, 1, 4, 1)}
    zeros = np.zeros(4, np.int64)
    for table in (None, one, other, one.copy()):
        schedule.add(
            Pass(name="t", sources=("a",), target="b", kernel=np.eye(4, dtype=int)[None, None],
                 bias=zeros, shift=zeros, count=(1, 1), table=table),
            place,
        )  # fmt: skip
    assert [ins.table for ins in schedule.instructions] == [0, 1, 2, 1]
    assert len(schedule.tables) == 2


def depthwise(size, channels, largest=9):
    taps = np.arange(size[0] * size[1]).reshape(*size, 1) % largest + 1
    return np.tile(taps, channels)


def test_a_window_takes_a_step_for_each_pixel():
    cfg = Config(rows=12, columns=4, window=3, activation_depth=1000)
    (ins,) = scheduled(depthwise((3, 3), 20), cfg).instructions
    assert (ins.window, ins.share, ins.hold_tiles) == (1, 1, 1)
    assert (ins.last_oy, ins.last_ox, ins.last_tile) == (4, 4, 4)
    assert (ins.skip_y, ins.skip_x, ins.every_y, ins.every_x) == (2, 2, 0, 0)
    assert (ins.last_ky, ins.last_kx, ins.last_block, ins.last_digit) == (0, 0, 0, 0)


def test_rows_of_a_window_hold_the_newest_tap_first():
    cfg = Config(rows=12, columns=4, window=3, activation_depth=1000)
    schedule = scheduled(depthwise((3, 3), 4), cfg)
    (tile,) = schedule.weights
    # Spans of four rows: three taps of a line, the last one first, and one unused.
    assert tile[:, 0].tolist() == [9, 8, 7, 0, 6, 5, 4, 0, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("kernel", "options"),
    [
        (depthwise((4, 3), 4), {}),  # too high
        (depthwise((3, 5), 4), {}),  # too wide
        (depthwise((3, 3), 4) * 100, {}),  # digits
        (np.ones((3, 3, 4, 4), int), {}),  # channels meet
        (depthwise((3, 3), 4), {"dilation": (2, 1)}),
        (depthwise((3, 3), 4), {"stride": (3, 4)}),  # no steps saved
        (depthwise((3, 3), 4, 1), {"peak": True}),
        (depthwise((1, 1), 4), {}),  # no steps saved
        (depthwise((3, 3), 4), {"count": (3, 19)}),  # beyond the line memory
    ],
)
def test_what_no_window_can_do(kernel, options):
    cfg = Config(rows=12, columns=4, window=3, activation_depth=1000, line_depth=20)
    for ins in scheduled(kernel, cfg, **options).instructions:
        assert ins.window == 0


INTERLEAVED = Config(rows=4, columns=4, window=1, interleave=3, activation_depth=1000)


@pytest.mark.parametrize("count", [(3, 9), (9, 3)])
def test_rows_in_turns_take_a_step_for_each_row_and_pixel(count):
    (ins,) = scheduled(depthwise((3, 3), 20), INTERLEAVED, count=count).instructions
    # The longer side lies along the rows, so that fewer pixels come before a result.
    assert (ins.window, ins.last_tile, ins.last_oy, ins.last_ox, ins.last_ky) == (1, 4, 2, 10, 2)
    assert (ins.skip_y, ins.skip_x, ins.every_y, ins.every_x) == (0, 2, 0, 0)
    assert (ins.last_kx, ins.last_block, ins.last_digit) == (0, 0, 0)


def test_rows_in_turns_hold_the_newest_tap_last():
    schedule = scheduled(depthwise((3, 2), 4), INTERLEAVED, count=(3, 9))
    # A tile for each of the kernel's rows; the first row of cells has no tap, the last one none.
    assert [tile[:, 0].tolist() for tile in schedule.weights] == [
        [0, 1, 2, 0], [0, 3, 4, 0], [0, 5, 6, 0],
    ]  # fmt: skip


def test_a_stride_across_rows_in_turns_leaves_rows_out():
    (ins,) = scheduled(depthwise((3, 3), 4), INTERLEAVED, count=(3, 9), stride=(2, 1)).instructions
    assert (ins.window, ins.stride_y, ins.stride_x, ins.every_x) == (1, 2, 1, 0)
    assert (ins.last_oy, ins.last_ox) == (2, 10)


@pytest.mark.parametrize(
    ("kernel", "options"),
    [
        (depthwise((4, 3), 4), {}),  # too high
        (depthwise((3, 4), 4), {}),  # too wide
        (depthwise((3, 3), 4) * 100, {}),  # digits
        (np.ones((3, 3, 4, 4), int), {}),  # channels meet
        (depthwise((3, 3), 4), {"dilation": (2, 1)}),
        (depthwise((3, 3), 4), {"stride": (4, 4)}),  # no steps saved
        (depthwise((3, 3), 4, 1), {"peak": True}),
        (depthwise((1, 2), 4), {}),  # no steps saved
    ],
)
def test_what_rows_in_turns_cannot_do(kernel, options):
    for ins in scheduled(kernel, INTERLEAVED, **options).instructions:
        assert ins.window == 0


def test_tiles_share_words():
    cfg = Config(rows=12, columns=4, activation_depth=1000)
    (ins,) = scheduled(np.eye(32)[None, None], cfg).instructions
    assert (ins.share, ins.last_tile, ins.last_block, tile_step(ins)) == (1, 7, 0, 0)


def test_two_sources_are_two_taps():
    schedule = Schedule(config(4, 4))
    zeros = np.zeros(4, np.int64)
    place = {
        name: Placement(base, 2, 2, 4, 1) for name, base in (("a", 20), ("b", 7), ("c", 40))
    }  # fmt: skip
    kernel = np.stack([np.eye(4, dtype=int), -np.eye(4, dtype=int)])[None]
    schedule.add(
        Pass(name="s", sources=("a", "b"), target="c", kernel=kernel, bias=zeros, shift=zeros,
             count=(2, 2)),
        place,
    )  # fmt: skip
    (ins,) = schedule.instructions
    assert (ins.source, ins.last_kx, ins.step_x) == (20, 1, 0)
    assert ins.source_kx == (7 - 20) % 1024
    assert (ins.source + ins.source_kx + ins.source_ox) % 1024 == 21
