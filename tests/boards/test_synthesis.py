"""What Yosys makes of a bank: block RAMs and their output register, and nothing beside them."""

import re
from types import SimpleNamespace

import pytest
from amaranth.back import rtlil

from weft.boards.build import COLLISIONS
from weft.boards.tools import find_tool, run_tool
from weft.hw.bank import Bank

FAMILIES = {"LFE5U-85F": ("synth_ecp5 -noabc9", "DP16KD"), "iCE40UP5K": ("synth_ice40", "SB_RAM40")}


@pytest.mark.parametrize("device", FAMILIES)
@pytest.mark.parametrize("init", [[], [1, 2, 3]], ids=["empty", "filled"])
def test_a_bank_needs_no_logic(device, init, tmp_path):
    synthesis, block = FAMILIES[device]
    bank = Bank(width=32, depth=2048, init=init)
    ports = [bank.write_enable, bank.write_address, bank.write_data, bank.read_address,
             bank.read_data]  # fmt: skip
    text = rtlil.convert(bank, ports=ports, platform=SimpleNamespace(device=device))
    (tmp_path / "bank.il").write_text(text)
    script = f"read_rtlil bank.il\n{COLLISIONS}\n{synthesis} -top top\ntee -q -o cells.txt stat\n"
    (tmp_path / "bank.ys").write_text(script)
    command = [find_tool("yosys"), "-q", "bank.ys"]
    run_tool(command, directory=tmp_path, log=tmp_path / "log")
    found = re.findall(r"^ +(\d+) +((?:SB_|TRELLIS_|LUT|DP|CCU|PFU)\w*)$",
                       (tmp_path / "cells.txt").read_text(), re.M)  # fmt: skip
    cells = {name: int(count) for count, name in found}
    assert sum(count for name, count in cells.items() if name.startswith(block)) > 0
    logic = {name: count for name, count in cells.items() if not name.startswith(block)}
    if device == "LFE5U-85F":
        assert logic == {}  # its blocks have the register
    else:
        assert 32 <= sum(logic.values()) <= 32 + 3  # one select of a part


def test_a_relaxed_bank_has_its_register_at_the_address(tmp_path):
    bank = Bank(width=32, depth=512, relaxed=True)
    ports = [bank.write_enable, bank.write_address, bank.write_data, bank.read_address,
             bank.read_data]  # fmt: skip
    platform = SimpleNamespace(device="iCE40UP5K")
    (tmp_path / "bank.il").write_text(rtlil.convert(bank, ports=ports, platform=platform))
    script = f"read_rtlil bank.il\n{COLLISIONS}\nsynth_ice40 -top top\ntee -q -o cells.txt stat\n"
    (tmp_path / "bank.ys").write_text(script)
    run_tool([find_tool("yosys"), "-q", "bank.ys"], directory=tmp_path, log=tmp_path / "log")
    found = re.findall(r"^ +(\d+) +(SB_\w+)$", (tmp_path / "cells.txt").read_text(), re.M)
    cells = {name: int(count) for count, name in found}
    assert cells.pop("SB_RAM40_4K") == 4
    assert sum(cells.values()) == 9
