"""Four levels, one result: golden model, program, gateware, Verilog of the gateware.

The levels are the integer graph (`golden`), the compiled program in the interpreter, the
core in Amaranth's simulator, and its Verilog in Verilator or Icarus. Golden knows nothing
of the others, so each comparison with it is with an independent implementation.
"""

import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from levels import ARRAYS, operators, operators_of, pair, seeds_of, windows
from random_networks import MULTIPLIER_OPERATORS, OPERATORS

from weft.errors import RefusedError
from weft.hw.config import Space
from weft.sim import interpreter, rtl
from weft.sim.engine import compare
from weft.sim.verilog import engine

#: Amaranth's simulator is slow: a third of the pairs every day, another third on each array
#: in turn, so that every operator is among them; the rest in the slow tests, and so are all pairs
#: of arrays with more multipliers than `EVERYDAY`.
SHARES = 3
EVERYDAY = 36
ORDER = {name: number for number, name in enumerate(ARRAYS)}


def share(name, number):
    """The seeds of one of the `SHARES`."""
    return [seed for seed in seeds_of(name) if (seed + ORDER[name]) % SHARES == number]


def everyday(name):
    """Whether an array is small enough for Amaranth's simulator every day."""
    return ARRAYS[name].multipliers <= EVERYDAY


def named(name, seeds, text, slow=False):
    """Parameters `name` and `seeds` of one case."""
    marks = [pytest.mark.slow] if slow else []
    return pytest.param(name, seeds, id=f"{name}-seeds {text}", marks=marks)


def shares(numbers):
    """Parameters `name` and `seeds`; large arrays are slow."""
    cases = [(name, share(name, number)) for name in ARRAYS for number in numbers]
    return pytest.mark.parametrize(
        ("name", "seeds"),
        [
            named(name, seeds, ",".join(map(str, seeds)), not everyday(name))
            for name, seeds in cases
        ],
    )


every_seed = pytest.mark.parametrize(
    ("name", "seeds"),
    [named(name, seeds_of(name), f"0 to {seeds_of(name)[-1]}") for name in ARRAYS],
)


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Folders that failed simulations leave behind, for their logs, go with the test's."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def assert_equal(level, pairs, run_many):
    """All pairs, on one core one after another, give golden's outputs in the known cycles."""
    try:
        results = run_many([(p.program, p.inputs) for p in pairs])
    except RefusedError as error:
        # Which of them it was; alone it may go well, if the one before left something behind.
        for p in pairs:
            try:
                run_many([(p.program, p.inputs)])
            except RefusedError as alone:
                pytest.fail(f"{level}: {alone}\n{p}")
        pytest.fail(f"{level}: only together, {error}\n" + "\n".join(map(str, pairs)))
    found = [
        text
        for p, result in zip(pairs, results, strict=True)
        for text in p.differences(level, result)
    ]
    assert not found, f"{len(found)} of {len(pairs)}:\n" + "\n\n".join(found)


def run_programs(jobs):
    return [interpreter.run(program, inputs) for program, inputs in jobs]


@every_seed
def test_program(name, seeds):
    assert_equal("program", [pair(name, seed) for seed in seeds], run_programs)


@every_seed
def test_verilog(name, seeds):
    pairs = [pair(name, seed) for seed in seeds]
    assert_equal("verilog", pairs, engine.run_many)
    stalls = 1 + ORDER[name]
    assert_equal(
        f"verilog, stalls {stalls}", pairs, lambda jobs: engine.run_many(jobs, stalls_seed=stalls)
    )


@pytest.mark.parametrize(
    ("name", "seeds"), [named(name, range(5), "0 to 4", not everyday(name)) for name in ARRAYS]
)
def test_large_networks(name, seeds):
    large = [pair(name, seed, large=True) for seed in seeds]
    assert_equal("program", large, run_programs)
    assert_equal("verilog", large, engine.run_many)


def assert_rtl(name, seeds):
    # Half of the arrays stall, others in each share.
    stalls = seeds[0] if (seeds[0] + ORDER[name]) % 2 else None
    assert_equal(
        f"rtl, stalls {stalls}",
        [pair(name, seed) for seed in seeds],
        lambda jobs: rtl.run_many(jobs, stalls_seed=stalls),
    )


@shares([0])
def test_rtl(name, seeds):
    assert_rtl(name, seeds)


@pytest.mark.slow
@shares(range(1, SHARES))
def test_rtl_of_the_rest(name, seeds):
    assert_rtl(name, seeds)


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus not installed")
@pytest.mark.parametrize("seeds", [(2, 5, 14, 17)], ids=["seeds 2,5,14,17"])
@pytest.mark.parametrize("name", ["3x5", "6x1, window 2"])
def test_icarus(name, seeds):
    assert_equal(
        "icarus",
        [pair(name, seed) for seed in seeds],
        lambda jobs: engine.run_many(jobs, simulator="icarus", stalls_seed=1),
    )


@pytest.mark.parametrize("seed", range(3))
def test_corrupted_weight(seed):
    """One byte of the weights: every level below the network finds the same first difference."""
    good = pair("4x4", OPERATORS.index("Conv2D"))
    columns = good.program.config.columns
    rng = np.random.default_rng(seed)
    weights = good.program.images[Space.WEIGHT]
    for byte in rng.permutation(weights.size):
        wrong = weights.copy()
        wrong.flat[byte] ^= 0x40
        bad = replace(good.program, images={**good.program.images, Space.WEIGHT: wrong})
        # Rows that pad a word have weights that nothing meets.
        first = compare(
            good.expected.outputs, interpreter.run(bad, good.inputs).outputs, level="program"
        )
        if first is not None:
            break
    assert first.index[3] % columns == byte % columns
    assert str(first).startswith("program differs first in tensor 't0', sample 0, row ")
    for level, run in (("rtl", rtl.run), ("verilog", engine.run)):
        found = compare(good.expected.outputs, run(bad, good.inputs).outputs, level=level)
        assert found == replace(first, level=level)


def counted(pairs):
    return Counter(operator for p in pairs for operator in set(operators(p.program.network)))


def test_pairs():
    """Enough pairs, with every operator and with windows, in all and in the everyday share."""
    pairs = [pair(name, seed) for name in ARRAYS for seed in seeds_of(name)]
    assert len({str(p) for p in pairs}) == len(pairs) >= 200
    often = counted(pairs)
    assert set(often) == set(MULTIPLIER_OPERATORS)
    for operator, count in often.items():
        assert count >= sum(operator in operators_of(name) for name in ARRAYS) - 1
    daily = [pair(name, seed) for name in ARRAYS if everyday(name) for seed in share(name, 0)]
    assert set(counted(daily)) == set(MULTIPLIER_OPERATORS)
    for name, config in ARRAYS.items():
        for of_all in (pairs, daily) if everyday(name) else (pairs,):
            used = sum(windows(p.program) > 0 for p in of_all if p.name == name)
            assert (used > 0) == (config.window > 0), name


def test_shares_make_up_all():
    for name in ARRAYS:
        seeds = [seed for number in range(SHARES) for seed in share(name, number)]
        assert sorted(seeds) == list(seeds_of(name))
