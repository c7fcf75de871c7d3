"""The intake alone: every word it takes is written once, in order, and never beside a result."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from weft.hw import latency
from weft.hw.config import Space
from weft.hw.intake import Intake


@pytest.mark.parametrize("seed", range(8))
def test_words(seed):
    print("seed", seed)
    rng = np.random.default_rng(seed)
    dut = Intake()
    offers, stores = (rng.choice([0.1, 0.5, 1.0]) for _ in range(2))
    taken, written = [], []

    async def bench(ctx):
        word, age, since = None, 0, None
        for cycle in range(3000):
            # Runs of 40 to 80 cycles with pauses of some; in most of them inputs are released.
            busy = age > 0
            start = not busy and rng.random() < 0.2
            release = busy and since is None and age < 60 and rng.random() < 0.05
            # Nothing is stored when the core is not busy.
            storing = bool(busy and rng.random() < stores * 0.9)
            if word is None and rng.random() < offers:
                space = Space.ACTIVATION if rng.random() < 0.8 else Space.WEIGHT
                word = {"space": int(space), "address": cycle, "data": int(rng.integers(1 << 32))}
            for name, value in (("busy", busy), ("start", start), ("release", release),
                                ("storing", storing), ("valid", word is not None)):  # fmt: skip
                ctx.set(getattr(dut, name), value)
            if word is not None:
                ctx.set(dut.word, word)
            if release:
                since = cycle
            if ctx.get(dut.write):
                assert not storing
                held = ctx.get(dut.held)
                written.append((held.address, held.data))
            ready = bool(ctx.get(dut.ready))
            if word is not None:
                activation = word["space"] == Space.ACTIVATION
                if not busy and not start:
                    assert ready
                released = since is not None and cycle - since >= latency.RELEASE
                if ready:
                    assert not start
                    assert not busy or (activation and released)
                    if activation:
                        taken.append((word["address"], word["data"]))
                    word = None
                elif busy and activation and released:
                    # It only waits for the one before, and that for a result.
                    assert storing
                    assert len(taken) == len(written) + 1
            await ctx.tick()
            age = 1 if start else (age + 1 if busy else 0)
            if age > 40 and not release and rng.random() < 0.05:
                age, since = 0, None

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(taken) > 50
    assert taken[: len(written)] == written
    assert len(written) >= len(taken) - 1


def test_latency():
    assert Intake.latency == latency.RELEASE
