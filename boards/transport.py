"""A stream of bytes to a board and back: what the driver needs of a serial port."""

from __future__ import annotations

import contextlib
import errno
import time
from abc import ABC, abstractmethod

import serial
from serial.tools import list_ports

from weft.errors import InputError, RefusedError, WeftError


class GoneError(RefusedError):
    """The other end is not there any more."""


class Transport(ABC):
    """Bytes to and from a link, real or simulated."""

    #: What messages call it.
    name: str

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send all of `data`.

        Raises
        ------
        GoneError
            If the other end is gone.
        RefusedError
            If it does not take it.
        """

    @abstractmethod
    def read(self, count: int, timeout: float) -> bytes:
        """Receive `count` bytes, or fewer after `timeout` seconds.

        Raises
        ------
        GoneError
            If the other end is gone.
        """

    @abstractmethod
    def drain(self, quiet: float) -> None:
        """Throw away what arrives until nothing has for `quiet` seconds."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it; harmless when done twice."""


def _no_port(port: str) -> InputError:
    names = ", ".join(sorted(info.device for info in list_ports.comports()))
    if not port:
        port = "with an empty name"
    there = f"the ports here are {names}" if names else "no serial port is here at all"
    return InputError(f"no serial port {port}: {there}; check --port and the cable")


def _open_error(port: str, error: Exception) -> WeftError:
    number = getattr(error, "errno", None)
    text = str(error)
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO) or "FileNotFoundError" in text:
        return _no_port(port)
    if number == errno.EISDIR:
        return InputError(f"{port} is a folder and no serial port; check --port")
    if number == errno.ENOTTY or "Inappropriate ioctl" in text:
        return InputError(f"{port} is not a serial port; check --port")
    if number in (errno.EACCES, errno.EPERM) or "PermissionError" in text:
        return InputError(
            f"no permission to open {port}: on Linux add yourself to its group "
            "(sudo usermod -a -G dialout $USER) and log in again; elsewhere close the program "
            "that holds it"
        )
    if number in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in text:
        return RefusedError(f"{port} is in use by another program; close it and try again")
    return InputError(f"cannot open {port}: {text}; check --port")


class SerialTransport(Transport):
    """A serial port, held exclusively.

    Parameters
    ----------
    port : str
        As the system names it: ``/dev/ttyUSB1``, ``COM4``.
    baud : int
    timeout : float
        Seconds after which a write that does not go out is an error.

    Raises
    ------
    WeftError
        If there is no such port, no permission, or another program has it.
    """

    def __init__(self, port: str, *, baud: int, timeout: float):
        self.name = port
        try:
            self._serial = serial.Serial(port, baud, write_timeout=timeout, exclusive=True)
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise _open_error(port, error) from error
        # The adapter's 16 ms wait before it hands on a short reply is longer than most replies.
        with contextlib.suppress(Exception):
            self._serial.set_low_latency_mode(True)

    def _gone(self) -> GoneError:
        return GoneError(
            f"{self.name} went away: the board was unplugged or reset its USB; plug it in and "
            "run again"
        )

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        try:
            self._serial.write(data)
        except serial.SerialTimeoutException as error:
            raise RefusedError(
                f"{self.name} takes no data; unplug the board and plug it in again"
            ) from error
        except (OSError, TypeError) as error:  # pyserial's TypeError: closed underneath
            raise self._gone() from error

    def read(self, count: int, timeout: float) -> bytes:
        """Receive `count` bytes, or fewer after `timeout` seconds."""
        try:
            self._serial.timeout = timeout
            return bytes(self._serial.read(count))
        except (OSError, TypeError) as error:
            raise self._gone() from error

    def drain(self, quiet: float) -> None:
        """Throw away what arrives until nothing has for `quiet` seconds."""
        # A board that never stops talking must not hold us forever.
        end = time.monotonic() + 20 * quiet
        while self.read(4096, quiet) and time.monotonic() < end:
            pass

    def close(self) -> None:
        """Let go of the port."""
        with contextlib.suppress(OSError):
            self._serial.close()
