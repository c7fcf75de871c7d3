import random
import re

import pytest
from amaranth.sim import Simulator

from weft.boards.uart import Receiver, Transmitter, divisor

DIVISOR = 16


def bits(byte, stop=1):
    return [0, *((byte >> n) & 1 for n in range(8)), stop]


def line(frames, rng, jitter, idle=20):
    """Levels per cycle of frames whose every edge is early or late by up to `jitter` bits."""
    levels = [1] * idle
    for frame in frames:
        edges = [round((n + rng.uniform(-jitter, jitter)) * DIVISOR) for n in range(1, 10)]
        for level, start, stop in zip(frame, [0, *edges], [*edges, 10 * DIVISOR], strict=True):
            levels += [level] * (stop - start)
        levels += [1] * rng.randrange(3)
    return levels + [1] * idle


def receive(levels, *, ready=True, clock=DIVISOR * 1e6, baud=1e6):
    dut = Receiver(clock=clock, baud=baud)
    got, errors = [], 0

    async def bench(ctx):
        nonlocal errors
        ctx.set(dut.o.ready, ready)
        for level in levels:
            ctx.set(dut.pin, level)
            _, _, valid, byte, error = await ctx.tick().sample(
                dut.o.valid, dut.o.payload, dut.error
            )
            if valid and ready:
                got.append(byte)
            errors += error

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return got, errors


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("jitter", [0, 0.1, 0.3])
def test_receives_with_jitter(seed, jitter):
    rng = random.Random(seed)
    data = rng.randbytes(40)
    assert receive(line(map(bits, data), rng, jitter)) == (list(data), 0)


@pytest.mark.parametrize(("clock", "baud"), [(27e6, 3e6), (50e6, 3e6), (50e6, 2e6)])
def test_the_fastest_rates_of_boards(clock, baud):
    """Bytes back to back both ways, at the true rate: 50 MHz make 2 % less than 3 Mbaud."""
    rng = random.Random(int(clock + baud))
    data = rng.randbytes(60)
    bit = clock / baud
    sent = [level for byte in data for level in bits(byte)]
    levels = [1] * 20 + [sent[int(n / bit)] for n in range(int(len(sent) * bit))] + [1] * 20
    assert receive(levels, clock=clock, baud=baud) == (list(data), 0)
    echo = transmit(data, clock=clock, baud=baud)
    got, at = [], 0
    while 0 in echo[at:]:
        at = echo.index(0, at)
        got.append(sum(echo[at + int((n + 1.5) * bit)] << n for n in range(8)))
        assert echo[at + int(9.5 * bit)] == 1
        at += int(9.5 * bit)
    assert bytes(got) == data


@pytest.mark.parametrize("seed", [4])
def test_a_missing_stop_bit_loses_its_byte_alone(seed):
    rng = random.Random(seed)
    frames = [bits(0x31), bits(0x32, stop=0), [1] * 10, bits(0x33)]
    assert receive(line(frames, rng, 0)) == ([0x31, 0x33], 1)


def test_a_spike_is_no_start_bit():
    rng = random.Random(0)
    spike = [1] * 20 + [0] * 3 + [1] * 30
    assert receive(spike + line([bits(0x5A)], rng, 0)) == ([0x5A], 0)


def test_a_break_is_one_error():
    assert receive([1] * 5 + [0] * 40 * DIVISOR + [1] * 30) == ([], 1)


def test_an_overrun_is_an_error():
    levels = line([bits(1), bits(2)], random.Random(0), 0)
    assert receive(levels, ready=False) == ([], 1)


def transmit(data, *, clock=DIVISOR * 1e6, baud=1e6):
    dut = Transmitter(clock=clock, baud=baud)
    levels = []

    async def bench(ctx):
        waiting = list(data)
        for _ in range(len(data) * (10 * dut.divisor + 1) + 40):
            ctx.set(dut.i.valid, bool(waiting))
            ctx.set(dut.i.payload, waiting[0] if waiting else 0)
            _, _, ready, level = await ctx.tick().sample(dut.i.ready, dut.pin)
            levels.append(level)
            if waiting and ready:
                waiting.pop(0)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return levels


@pytest.mark.parametrize("seed", range(2))
def test_transmits(seed):
    data = random.Random(seed).randbytes(20)
    assert receive(transmit(data)) == (list(data), 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clock": 12e6, "baud": 5e6}, "a clock of 1.2e+07 Hz cannot make 5e+06 baud within 2%"),
        (
            {"clock": 11e6, "baud": 2.4e6},
            "a clock of 1.1e+07 Hz cannot make 2.4e+06 baud within 2%",
        ),
        ({"clock": 0, "baud": 1}, "clock must be a positive number, not 0"),
        ({"clock": 1, "baud": "x"}, "baud must be a positive number, not 'x'"),
    ],
)
def test_refuses_impossible_rates(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        divisor(**options)


def test_counts_cycles_per_bit():
    assert divisor(clock=24e6, baud=1e6) == 24
