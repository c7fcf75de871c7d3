"""The configuration: what makes one piece of hardware, as plain data.

A configuration is chosen once for a board; many programs run on it. Its digest
goes into every program and bitstream, so that the two cannot be mixed up.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from enum import IntEnum

#: Raised whenever the meaning of an instruction or of a memory's contents changes.
FORMAT = 6


#: Bits of TFLite's multipliers.
MULTIPLIER_BITS = 31


class Space(IntEnum):
    """The memories that the load port can write."""

    ACTIVATION = 0
    WEIGHT = 1
    PARAMETER = 2
    TABLE = 3
    PROGRAM = 4


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes of an array, its memories and its requantizer.

    Parameters
    ----------
    rows : int
        Rows of the array: input channels taken per cycle, and bytes in an activation word.
    columns : int
        Columns of the array: output channels computed at a time.
    lanes : int
        Requantize lanes; divides both `rows` and `columns`. The columns are worked in
        ``columns // lanes`` groups, each a cycle behind the one before. 0 means the largest.
    accumulator_bits : int
        Width of an accumulator; the compiler refuses a network that needs more.
    activation_depth : int
        Words of `rows` bytes.
    weight_depth : int
        Tiles of ``rows * columns`` bytes.
    parameter_depth : int
        Words with bias, multiplier and shift for `lanes` output channels.
    program_depth : int
        32-bit words.
    tables : int
        256-byte tables for unary functions; 0 leaves them out of the hardware.
    window : int
        Image rows that the second activation path takes at once, 0 to leave it out. With it
        depthwise layers of up to `window` x ``rows // window`` taps compute all their taps in
        one cycle, in a column per channel.
    interleave : int
        Where an array has fewer rows than a kernel has taps, so that `window` is 1: image rows that
        enter the second path in turns, each with as many taps; 0 for all in one step. A depthwise
        layer of 3 x 3 taps then takes 3 steps for a pixel.
    pairs : int
        1 where the second path takes words of two tensors in turns, so that sums and products of
        two activations have a result for every column in every step; 0 for one in two steps.
    line_depth : int
        Longest padded image row that the second path can hold.
    multiplier_bits : int
        Width of the requantizer's multiplier. 0 leaves it out: then it only shifts, which is
        all that power-of-two scales need. 31 computes TFLite's integers; fewer bits are cheaper,
        and the compiler rounds a network's multipliers to them, so that results differ from
        TFLite's.
    elementwise : int
        1 for sums of individually scaled activations and products of two, 0 to leave them out.
    table_multipliers : int
        How many of the array's multipliers, the last ones, are made of lookup tables on an FPGA
        whose multiplier blocks do not suffice; others take no notice.
    copies : int
        1 for weights that are copied from the program memory while the array computes, so that
        a network may have more of them than the weight memory holds; 0 to leave it out.
    single_port : int
        1 where the activation and program memories have one port each, to write or to read: the
        array then waits for a cycle whenever results are stored. 0 for a port of each kind.
    stream : int
        1 where the next input may be loaded while the present one is computed, as soon as the
        program has read it for the last time; 0 to take it when the program is done.

    Raises
    ------
    ValueError
        If a size is not a positive integer or `lanes` does not divide the array's sides.
    """

    rows: int
    columns: int
    lanes: int = 0
    accumulator_bits: int = 32
    activation_depth: int = 4096
    weight_depth: int = 4096
    parameter_depth: int = 1024
    program_depth: int = 1024
    tables: int = 1
    window: int = 0
    interleave: int = 0
    pairs: int = 0
    line_depth: int = 128
    multiplier_bits: int = 0
    elementwise: int = 0
    table_multipliers: int = 0
    copies: int = 0
    single_port: int = 0
    stream: int = 0

    def __post_init__(self) -> None:
        sides = (self.rows, self.columns)
        if self.lanes == 0 and all(isinstance(side, int) and side > 0 for side in sides):
            object.__setattr__(self, "lanes", math.gcd(*sides))
        self._check_numbers()
        self._check_window()
        self._check_pairs()
        if self.rows % self.lanes or self.columns % self.lanes:
            raise ValueError(
                f"lanes must divide the array's {self.rows} rows and {self.columns} columns, "
                f"not {self.lanes!r}"
            )
        if self.multiplier_bits > MULTIPLIER_BITS:
            raise ValueError(
                f"multiplier_bits must be from 0 to {MULTIPLIER_BITS}, not {self.multiplier_bits!r}"
            )
        for name in ("pairs", "elementwise", "copies", "single_port", "stream"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name} must be 0 or 1, not {getattr(self, name)!r}")
        if self.stream and self.single_port:
            raise ValueError(
                "stream needs an activation memory that is written while it is read: "
                "leave single_port out"
            )
        if self.table_multipliers > self.multipliers:
            raise ValueError(
                f"table_multipliers must be at most {self.multipliers}, the array's, "
                f"not {self.table_multipliers!r}"
            )
        if not 16 <= self.accumulator_bits <= 32:
            raise ValueError(
                f"accumulator_bits must be from 16 to 32, not {self.accumulator_bits!r}"
            )

    def _check_numbers(self) -> None:
        positive = ("rows", "columns", "lanes", "accumulator_bits", "activation_depth",
                    "weight_depth", "parameter_depth", "program_depth",
                    "line_depth")  # fmt: skip
        for name in positive:
            value = getattr(self, name)
            if not isinstance(value, int) or value <= 0:
                raise ValueError(f"{name} must be a positive integer, not {value!r}")
        names = ("tables", "window", "interleave", "pairs", "multiplier_bits", "elementwise",
                 "table_multipliers", "copies", "single_port", "stream")  # fmt: skip
        for name in names:
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"{name} must be an integer from 0, not {value!r}")

    def _check_window(self) -> None:
        if self.window and (self.rows % self.columns or self.rows // self.window < 3):
            raise ValueError(
                "window needs rows that are a multiple of columns, and at least three of them "
                f"per image row, not {self.rows} x {self.columns} with {self.window!r}"
            )
        if self.interleave and not (self.window == 1 and 2 <= self.interleave <= self.rows):
            raise ValueError(
                "interleave needs a window of 1, and from 2 to as many image rows as the array has "
                f"rows, not {self.interleave!r} with {self.rows} rows and window {self.window}"
            )

    def _check_pairs(self) -> None:
        if not self.pairs:
            return
        if self.window < 3 or self.span < 4 or self.rows % (2 * self.columns):
            raise ValueError(
                "pairs needs a window of three image rows or more, four rows or more for each, and "
                f"an even number of tiles in a word, not {self.rows} x {self.columns} with window "
                f"{self.window}"
            )
        if self.groups > 1 or self.single_port:
            raise ValueError(
                "pairs has results in every step: lanes must take all columns at once, and the "
                "activation memory be written while it is read"
            )

    @property
    def digest(self) -> str:
        """Hexadecimal identity of the hardware, 16 digits."""
        text = json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def groups(self) -> int:
        """Column groups, each `lanes` wide: cycles between two outputs at the least."""
        return self.columns // self.lanes

    @property
    def span(self) -> int:
        """Rows of cells that take the taps of one image row on the second path."""
        return self.interleave or self.rows // self.window

    @property
    def shared_elementwise(self) -> bool:
        """Whether two lanes share an elementwise unit."""
        return self.groups == 1 and self.lanes % 2 == 0 and not self.pairs

    @property
    def value_bits(self) -> int:
        """Width of what the requantizer takes: elementwise sums are wider than accumulators."""
        return 32 if self.elementwise else self.accumulator_bits

    @property
    def parameter_words(self) -> int:
        """32-bit words per lane of a parameter row: bias, multiplier if there is one, shift."""
        return 3 if self.multiplier_bits else 2

    @property
    def tiles_per_word(self) -> int:
        """Tiles of the same activation word, where rows are a multiple of columns; else 1."""
        return self.rows // self.columns if self.rows % self.columns == 0 else 1

    @property
    def multipliers(self) -> int:
        """INT8 multipliers in the datapath."""
        return self.rows * self.columns

    def depth(self, space: Space) -> int:
        """Rows of a memory."""
        return {
            Space.ACTIVATION: self.activation_depth,
            Space.WEIGHT: self.weight_depth,
            Space.PARAMETER: self.parameter_depth,
            Space.TABLE: 256 * self.tables,
            Space.PROGRAM: self.program_depth,
        }[space]

    def row_bytes(self, space: Space) -> int:
        """Bytes in one row of a memory."""
        return {
            Space.ACTIVATION: self.rows,
            Space.WEIGHT: self.rows * self.columns,
            Space.PARAMETER: 4 * self.parameter_words * self.lanes,
            Space.TABLE: 1,
            Space.PROGRAM: 4,
        }[space]

    @property
    def tile_words(self) -> int:
        """32-bit words of a tile of weights in the program memory."""
        return -(-self.multipliers // 4)

    def row_words(self, space: Space) -> int:
        """32-bit words that a row takes at the load port, rounded up to a power of two."""
        words = -(-self.row_bytes(space) // 4)
        return 1 << (words - 1).bit_length()
