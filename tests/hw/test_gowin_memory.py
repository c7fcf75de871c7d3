"""SDPB and SDPX9B blocks beside the plain bank, in every shape, against a model of the blocks."""

from types import SimpleNamespace

import blocks
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from weft.hw.bank import Bank
from weft.hw.primitives import gowin, gowin_memory
from weft.hw.verilog import convert

#: As Gowin's BSRAM and SSRAM user guide (UG285) describes them, reduced to one width for both
#: ports and to reading without the output register: bits of the rows one after the other, an
#: address that counts the narrowest rows, and byte enables in the lowest address bits of the rows
#: of two bytes and of four.
BSRAM = """
module %(name)s(input CLKA, input CEA, input RESETA, input [13:0] ADA, input [2:0] BLKSELA,
    input [%(bus)d-1:0] DI, input CLKB, input CEB, input OCE, input RESETB, input [13:0] ADB,
    input [2:0] BLKSELB, output reg [%(bus)d-1:0] DO);
  parameter READ_MODE = 1'b1;
  parameter BIT_WIDTH_0 = %(bus)d;
  parameter BIT_WIDTH_1 = %(bus)d;
  parameter BLK_SEL_0 = 3'b111;
  parameter BLK_SEL_1 = 3'b111;
  parameter RESET_MODE = "ASYNC";
%(parameters)s
  reg [%(size)d-1:0] memory;
  integer i, at, step;
  initial begin
    #0;
    memory = {%(values)s};
  end
  // Bits in front of a row: eight narrow addresses for each byte, of nine bits or of eight.
  function integer bit_of(input [13:0] address, input integer width);
    bit_of = width %% 9 ? address / width * width : address / 8 / (width / 9) * width;
  endfunction
  always @(posedge CLKA)
    if (CEA && BLKSELA == BLK_SEL_0) begin
      at = bit_of(ADA, BIT_WIDTH_0);
      step = %(bus)d / 4;
      for (i = 0; i < BIT_WIDTH_0; i = i + 1)
        if (BIT_WIDTH_0 < 2 * step || ADA[i / step])
          memory[at + i] <= DI[i];
    end
  always @(posedge CLKB)
    if (RESETB)
      DO <= 0;
    else if (CEB && BLKSELB == BLK_SEL_1 && READ_MODE == 0 && OCE)
      DO <= (memory >> bit_of(ADB, BIT_WIDTH_1)) & ~({%(bus)d{1'b1}} << BIT_WIDTH_1);
endmodule
"""


def model():
    text = ""
    for name, word in (("SDPX9B", 288), ("SDPB", 256)):
        values = [f"INIT_RAM_{place:02X}" for place in range(64)]
        text += BSRAM % {
            "name": name,
            "bus": word // 8,
            "size": 64 * word,
            "parameters": "\n".join(f"  parameter [{word - 1}:0] {v} = 0;" for v in values),
            "values": ", ".join(reversed(values)),
        }
    return text


class OnGowin(Bank):
    """The bank that Gowin's FPGAs get."""

    def elaborate(self, platform):
        return super().elaborate(SimpleNamespace(part="GW1NR-LV9QN88PC6/I5"))


@pytest.mark.parametrize(
    ("width", "depth", "block"),
    [(36, 512, "SDPX9B"), (70, 300, "SDPX9B"), (18, 1024, "SDPX9B"), (9, 2048, "SDPX9B"),
     (32, 1500, "SDPX9B"), (4, 4096, "SDPB"), (3, 8192, "SDPB"), (1, 16384, "SDPB")],
)  # fmt: skip
def test_rows(width, depth, block, monkeypatch):
    def with_model(component, *, name):
        text = convert(component, name=name)
        assert f"{block} " in text
        return text + model()

    monkeypatch.setattr(blocks, "convert", with_model)
    rng = np.random.default_rng(depth)

    def rows(count):
        return [int.from_bytes(rng.bytes(9), "little") >> (72 - width) for _ in range(count)]

    init = rows(depth)
    written = rng.permutation(depth)[:100].tolist()
    data = rows(len(written))
    asked = [0, depth - 1, *written, *rng.integers(0, depth, 150).tolist()]
    seen = blocks.play(
        OnGowin(width=width, depth=depth, init=init),
        {
            # Every other cycle writes nothing.
            "write_enable": [1, 0] * len(written) + [0] * len(asked),
            "write_address": [a for row in written for a in (row, 0)] + [0] * len(asked),
            "write_data": [d for row in data for d in (row, rows(1)[0])] + [0] * len(asked),
            "read_address": [0] * (2 * len(written)) + asked,
        },
        simulator="icarus",
    )["read_data"]
    expected = dict(enumerate(init)) | dict(zip(written, data, strict=True))
    begin = 2 * len(written) + Bank.latency
    assert_array_equal(seen[begin:], [expected[row] for row in asked][: -Bank.latency])


def test_a_block_has_so_many_rows():
    assert gowin_memory.block_width(16384) == 1
    with pytest.raises(ValueError, match="at most 16384 rows, not 16385"):
        gowin_memory.block_width(16385)


def test_few_rows_lie_in_lookup_tables():
    for depth in (gowin.TABLE_ROWS, gowin.TABLE_ROWS + 1):
        text = convert(OnGowin(width=8, depth=depth), name="bank")
        assert ("SDPX9B" in text) == (depth > gowin.TABLE_ROWS)
