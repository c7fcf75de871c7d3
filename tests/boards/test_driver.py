import errno
import os
import random

import numpy as np
import pytest

from weft.boards.driver import Driver
from weft.boards.exchange import ATTEMPTS, Exchange, LinkError, ResetError, SilentError
from weft.boards.protocol import (
    SYNC,
    Answer,
    Command,
    encode_reply,
    encode_request,
    hidden_request,
    with_crc,
)
from weft.boards.transport import Transport, _open_error
from weft.compiler.program import LOAD_WORD
from weft.errors import InputError, RefusedError
from weft.hw.config import Config


def device(transport, **options):
    # Patience is counted in simulated cycles; wall time must not cut in.
    return Driver(transport, timeout=600, **options)


@pytest.fixture
def line(standin, simulated):
    return simulated.link(standin.Standin(standin.CONFIG), standin.CONFIG)


class Through(Transport):
    """Passes everything on, after `to` and `back` have had their way with it."""

    name = "sim"

    def __init__(self, inner, to=bytes, back=bytes):
        self.inner, self.to, self.back = inner, to, back

    def write(self, data):
        self.inner.write(self.to(data))

    def read(self, count, timeout):
        return self.back(self.inner.read(count, timeout))

    def drain(self, quiet):
        self.inner.drain(quiet)

    def close(self):
        self.inner.close()


class Silent(Transport):
    name = "/dev/silent"

    def write(self, data):
        pass

    def read(self, count, timeout):
        return b""

    def drain(self, quiet):
        pass

    def close(self):
        pass


def test_loads_and_runs(standin, line):
    program, x = standin.program(7), standin.inputs(1)
    seen = []
    with device(line) as board:
        result = board.run(program, x, progress=lambda *step: seen.append(step))
        assert not board.load(program)
        assert board.load(standin.program(8))
        assert board.status().cycles == 32
    np.testing.assert_equal(result.outputs, standin.expected(7, x))
    assert result.cycles == [32] * 3
    assert seen[0][0] == "load"
    assert seen[-1] == ("run", 3, 3)


def test_runs_over_real_uart_bits(standin, simulated):
    program, x = standin.program(3), standin.inputs(2, samples=1)
    core = standin.Standin(standin.CONFIG)
    # The fastest line of an iCEBreaker.
    transport = simulated.uart(core, standin.CONFIG, clock=27e6, baud=3e6)
    with device(transport) as board:
        result = board.run(program, x)
    np.testing.assert_equal(result.outputs, standin.expected(3, x))


@pytest.mark.parametrize("seed", range(2))
def test_noise_is_repaired(standin, line, seed):
    rng = random.Random(seed)

    def noise(data):
        damaged = bytearray()
        for byte in data:
            kind = rng.random()
            if kind < 0.002:
                continue
            damaged.append(byte ^ (1 << rng.randrange(8)) if kind < 0.004 else byte)
            if kind > 0.998:
                damaged.append(byte)
        return bytes(damaged)

    program, x = standin.program(5), standin.inputs(seed, samples=1)
    with device(Through(line, to=noise, back=noise)) as board:
        result = board.run(program, x)
    np.testing.assert_equal(result.outputs, standin.expected(5, x))


def test_words_that_hold_a_request_never_become_one(standin, simulated):
    """Words of a program or an input may be anybody's choice."""
    evil = encode_request(Command.WRITE, 9, count=1, address=40, payload=b"EVIL")
    words = np.zeros(len(evil) // 4, LOAD_WORD)
    words["data"] = np.frombuffer(evil, "<u4")
    words["address"] = np.arange(len(words))
    target = np.array([40])

    # Sent as they are they would be obeyed where the frame's first byte is lost.
    line = simulated.link(standin.Standin(standin.CONFIG), standin.CONFIG)
    line.write(encode_request(Command.WRITE, 1, count=len(words), payload=evil)[1:])
    line.drain(0)
    with device(line) as board:
        assert board.read(target).tobytes() == b"EVIL"

    lost = []

    def lose_first(data):
        """The first byte of every new WRITE is lost."""
        if data[1] != Command.WRITE or data in lost:
            return data
        lost.append(data)
        return data[1:]

    line = simulated.link(standin.Standin(standin.CONFIG), standin.CONFIG)
    with device(Through(line, to=lose_first)) as board:
        board.identify()
        board.write(words)
        assert len(lost) > 1
        assert board.read(words["address"]).tobytes() == evil
        assert board.read(target).tobytes() == bytes(4)


class Late(Silent):
    """Answers the request before again, and then the present one."""

    def __init__(self):
        self.answers = b""

    def write(self, data):
        sequence = data[2]
        for number, payload in (((sequence - 1) & 0xFF, b"late"), (sequence, b"good")):
            self.answers += encode_reply(Answer.OK, number, payload=payload)

    def read(self, count, timeout):
        taken, self.answers = self.answers[:count], self.answers[count:]
        return taken


def test_a_late_answer_is_not_taken_for_the_next_one():
    exchange = Exchange(Late(), baud=1_000_000, timeout=1)
    for _ in range(3):
        assert exchange.request(Command.STATUS, words=1).payload == b"good"


def test_a_header_and_words_that_make_a_request_get_another_number():
    transport, sent = Late(), []
    exchange = Exchange(Through(transport, to=lambda data: sent.append(data) or data), baud=1e6,
                        timeout=1)  # fmt: skip
    exchange.request(Command.STATUS, words=1)
    number = sent[0][2] + 1 & 0xFF
    # A request that begins in the address, goes on in the header's CRC, and ends in the words.
    fields = {"count": 2, "address": int.from_bytes(bytes([SYNC]) * 3, "little")}
    header = encode_request(Command.WRITE, number, **fields)
    words = with_crc(header[6:] + b"\1")[len(header) - 6 :]
    payload = words + bytes(8 - len(words))
    assert hidden_request(encode_request(Command.WRITE, number, payload=payload, **fields), 1) == 5
    exchange.request(Command.WRITE, payload=payload, words=1, **fields)
    assert sent[1] == encode_request(Command.WRITE, number + 1 & 0xFF, payload=payload, **fields)


def test_another_configuration_is_refused(standin, line):
    other = Config(rows=4, columns=4, activation_depth=128)
    program = standin.program(1, other)
    with device(line) as board, pytest.raises(RefusedError) as error:
        board.load(program)
    assert str(error.value) == (
        f"the board on sim has configuration {standin.CONFIG.digest}, the program is for "
        f"{other.digest}; build and flash the program's own bitstream, or compile for this board's"
    )


def test_a_stuck_core_is_reported(standin, simulated):
    line = simulated.link(standin.Standin(standin.CONFIG, hangs=True), standin.CONFIG)
    with device(line, limit=0.2) as board, pytest.raises(LinkError, match="so it is stuck"):
        board.run(standin.program(1), standin.inputs(1))


def test_a_reset_in_mid_run_is_reported(standin, simulated):
    program, x = standin.program(1), standin.inputs(1)
    lines = [
        simulated.link(
            standin.Standin(standin.CONFIG), standin.CONFIG, program_digest=program.digest
        )
        for _ in range(2)
    ]
    through = Through(lines[0])

    def reset_at_start(data):
        if data[1] == Command.START:
            through.inner = lines[1]
        return data

    through.to = reset_at_start
    with device(through) as board, pytest.raises(LinkError, match="was reset, or used by another"):
        board.run(program, x)


def test_a_start_of_somebody_else_before_one_that_was_damaged(standin, line):
    """The core has run on the inputs, which it may have overwritten: they must come again."""
    program, x = standin.program(1), standin.inputs(1, samples=2)
    through, starts = Through(line), []

    def disturb(data):
        if data[1] != Command.START:
            return data
        starts.append(data)
        if len(starts) != 2:
            return data
        line.write(encode_request(Command.IDENTIFY, 77))
        line.write(encode_request(Command.START, 78))
        line.drain(0)
        return data[:-1] + bytes([data[-1] ^ 1])

    through.to = disturb
    with device(through) as board:
        with pytest.raises(ResetError, match="was reset, or used by another program"):
            board.run(program, x)
        np.testing.assert_equal(board.run(program, x).outputs, standin.expected(1, x))


def test_a_run_goes_on_when_a_silent_board_answers_again(standin, line):
    program, x = standin.program(2), standin.inputs(4, samples=2)
    through = Through(line)
    silent = []

    def swallow(data):
        silent.append(data)
        if len(silent) == ATTEMPTS + 3:
            through.to = bytes
        return b""

    def fall_silent(what, done, total):
        if (what, done) == ("run", 1):
            through.to = swallow

    with device(through, reconnect=60) as board:
        result = board.run(program, x, progress=fall_silent)
    assert len(silent) == ATTEMPTS + 3
    np.testing.assert_equal(result.outputs, standin.expected(2, x))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "limit must be a positive number, not 0"),
        ({"reconnect": -1}, "reconnect must be a number of seconds, not -1"),
        ({"timeout": -1}, "timeout must be a positive number, not -1"),
        ({"baud": 0}, "baud must be a positive number, not 0"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        Driver(Silent(), **options)


def test_nothing_there():
    with Driver(Silent()) as board, pytest.raises(SilentError) as error:
        board.identify()
    assert str(error.value) == (
        "no good answer to IDENTIFY from /dev/silent (nothing answers); check that this port is "
        "the board's, that it is flashed, and its 1000000 baud"
    )


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ({}, "the inputs lack tensor 'x'; the program takes x"),
        (
            {"x": np.zeros((1, 4, 3, 4), np.int8)},
            "a sample of input 'x' has shape (4, 3, 4), and the program takes (4, 3, 5)",
        ),
        (
            {"x": np.zeros((0, 4, 3, 5), np.int8)},
            "the inputs have no samples; give at least one",
        ),
    ],
)
def test_inputs_are_checked(standin, x, message):
    with Driver(Silent()) as board, pytest.raises(InputError) as error:
        board.run(standin.program(1), x)
    assert str(error.value) == message


def test_no_such_port():
    with pytest.raises(InputError, match=r"no serial port /dev/no-such-port: .*; check --port"):
        Driver("/dev/no-such-port")


def test_a_port_without_a_name():
    with pytest.raises(
        InputError, match=r"^no serial port with an empty name: .*; check --port and the cable$"
    ):
        Driver("")


def test_not_a_serial_port(tmp_path):
    with pytest.raises(InputError) as error:
        Driver(str(tmp_path))
    assert str(error.value) == f"{tmp_path} is a folder and no serial port; check --port"
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(InputError, match="is not a serial port; check --port"):
        Driver(str(path))


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        (errno.EISDIR, InputError, "p is a folder and no serial port; check --port"),
        (errno.EACCES, InputError, "no permission to open p: on Linux add yourself"),
        (errno.EBUSY, RefusedError, "p is in use by another program"),
        (errno.EIO, InputError, "cannot open p: .*; check --port"),
    ],
)
def test_ports_that_do_not_open(number, kind, message):
    error = _open_error("p", OSError(number, os.strerror(number)))
    assert isinstance(error, kind)
    with pytest.raises(kind, match=message):
        raise error


def test_unplugged_in_mid_run():
    master, slave = os.openpty()
    with Driver(os.ttyname(slave), timeout=0.2) as board:
        os.close(slave)
        os.close(master)
        with pytest.raises(RefusedError, match="went away: the board was unplugged"):
            board.identify()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_port_without_permission(tmp_path):
    path = tmp_path / "port"
    path.touch(mode=0)
    with pytest.raises(InputError, match=f"^no permission to open {path}: on Linux add yourself"):
        Driver(str(path))


def test_a_port_in_use():
    master, slave = os.openpty()
    try:
        with (
            Driver(os.ttyname(slave)),
            pytest.raises(RefusedError, match="is in use by another program"),
        ):
            Driver(os.ttyname(slave))
    finally:
        os.close(slave)
        os.close(master)
