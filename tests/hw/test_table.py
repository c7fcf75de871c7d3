"""Tables against indexing."""

import numpy as np
import pytest
from blocks import play
from numpy.testing import assert_array_equal

from weft.hw.config import Config
from weft.hw.table import Tables

#: Cycles for which one table stays selected.
STRETCH = 50


@pytest.mark.parametrize("source", ["load", "init"])
@pytest.mark.parametrize(
    ("tables", "lanes", "simulator"),
    [(1, 1, "icarus"), (4, 2, "icarus"), (3, 2, "verilator"), (3, 2, "amaranth")],
)
@pytest.mark.parametrize("seed", range(1))
def test_results(tables, lanes, simulator, seed, source):
    rng = np.random.default_rng(seed)
    config = Config(rows=lanes, columns=lanes, tables=tables)
    image = rng.integers(-128, 128, (256 * tables, 1), np.int8)
    rows = rng.permutation(len(image)) if source == "load" else np.zeros(0, int)
    select = rng.permutation(np.arange(40) % (tables + 1)).repeat(STRETCH)
    codes = rng.integers(-128, 128, (len(select), lanes), np.int8)

    def behind(values, filling=0):
        return np.concatenate([values, np.full(len(select), filling)])

    stimulus = {
        "select": np.concatenate([np.zeros(len(rows), int), select]),
        "codes": [0] * len(rows) + packed(codes),
        "load_enable": behind(np.ones(len(rows), int)),
        "load_row": behind(rows),
        "load_data": behind(image[rows, 0].astype(int)),
    }
    init = image.view(np.uint8) if source == "init" else None
    seen = play(Tables(config, init), stimulus, simulator=simulator)

    through = image[:, 0].reshape(tables, 256)[select[:, None] - 1, codes.astype(int) + 128]
    expected = np.where(select[:, None] == 0, codes, through)
    late = Tables.latency
    steady = np.flatnonzero(np.arange(len(select)) % STRETCH < STRETCH - late)
    data = b"".join(int(value).to_bytes(lanes, "little") for value in seen["results"][len(rows) :])
    results = np.frombuffer(data, np.int8).reshape(-1, lanes)
    assert_array_equal(results[steady + late], expected[steady])


def packed(rows):
    return [int.from_bytes(row.tobytes(), "little") for row in rows]
