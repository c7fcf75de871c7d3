"""The core as Verilog: readable names, a header that says how to drive it, stable bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version

from amaranth.back import verilog
from amaranth.lib import wiring

from weft.hw.bank import PlainVerilog
from weft.hw.config import Config
from weft.hw.core import Core
from weft.hw.single_port import VERILOG as SINGLE_PORT

#: Name of the top module; a submodule is called ``weft_core.<name>``.
TOP = "weft_core"

_PROTOCOL = """\
One clock, clk; rst is synchronous and active high. A word moves where valid and ready are high.
1. Load: give {space, address, data} on load, one 32-bit word per cycle, for every memory image.
   load__payload[31:0] is data, [55:32] the word address, [58:56] the space:
   0 activations, 1 weights, 2 parameters, 3 tables, 4 program.
2. Input: load the input tensors into space 0 in the same way.
3. Start: hold start high for one cycle; busy is high from the next cycle until the last
   output byte is in the activation memory. load and read wait meanwhile; cycles counts.
4. Output: give word addresses of the activation memory on read; the words come on data, in order.
5. Go on with step 2: the images stay."""

_STREAM = """\
While busy, load already takes words for space 0, from the moment on when the program releases its
inputs: offer the next input at any time, and start when the present outputs are read. A program
whose summary says null for released_cycles has no room for that: load when these are read."""


def to_verilog(config: Config, program_digest: str | None = None) -> str:
    """Verilog of the core of `config`, with its header.

    Parameters
    ----------
    config : Config
    program_digest : str, optional
        Digest of the program that was compiled together with it, for the header.

    Returns
    -------
    str
        The same text for the same arguments and the same version of weft.
    """
    return _header(config, program_digest) + convert(Core(config), name=TOP)


def convert(component: wiring.Component, *, name: str) -> str:
    """Verilog of a component, named `name`; the same text on every machine."""
    text = verilog.convert(component, name=name, platform=PlainVerilog(), strip_internal_attrs=True)
    text = _SOURCE.sub("", text)
    # Every `always @*` reads this constant so that it runs once at the start. With an initial
    # value in the declaration nothing changes at the start in SystemVerilog, and all that
    # waits for a change stays x in Icarus; an assignment is a change.
    text = _SETTLE_DECLARATION.sub("  reg weft_settle;\n  initial weft_settle = 0;", text)
    text = _SETTLE.sub("weft_settle", text)
    text = "\n".join(_fold_initial(text.splitlines())) + "\n"
    for module, source in (("weft_bank", PlainVerilog.BANK), ("weft_single_port", SINGLE_PORT)):
        if f"{module} #(" in text:
            text += f"\n{source}"
    return text


def _header(config: Config, program_digest: str | None) -> str:
    lines = [
        f"weft {version('weft')}: a neural network accelerator, "
        f"a systolic array of {config.rows} x {config.columns} INT8 MAC cells.",
        "Generated; change the configuration instead of this file.",
        "LICENSE: generated code belongs to the user who generated it.",
        "",
        *_PROTOCOL.splitlines(),
        *(_STREAM.splitlines() if config.stream else ()),
        "",
        f"configuration: {json.dumps(asdict(config), sort_keys=True)}",
        f"configuration digest: {config.digest}",
    ]
    if program_digest is not None:
        lines.append(f"program digest: {program_digest}")
    return "".join(f"// {line}".rstrip() + "\n" for line in lines) + "\n"


_SOURCE = re.compile(r"^ *\(\* src = .*\*\)\n", re.MULTILINE)
_SETTLE = re.compile(r"\\\$auto\$verilog_backend\.cc:\d+:dump_module\$\d+ ")
_SETTLE_DECLARATION = re.compile(rf"^  reg {_SETTLE.pattern} = 0;$", re.MULTILINE)
_ROW = re.compile(r"^(\s*)(\S+)\[(\d+)\] = (.+);$")


def _fold_initial(lines: list[str]) -> Iterator[str]:
    """Runs of equal initial values of a memory as a loop: thousands of lines become four."""
    at = 0
    while at < len(lines):
        row = _ROW.match(lines[at])
        if row is None:
            yield lines[at]
            at += 1
            continue
        indent, memory, first, value = row.groups()
        end = at
        while end < len(lines) and lines[end] == (
            f"{indent}{memory}[{int(first) + end - at}] = {value};"
        ):
            end += 1
        if end - at < 4:
            yield from lines[at:end]
        else:
            last = int(first) + end - at
            block = f"fill_{re.sub(r'[^A-Za-z0-9_]', '_', memory)}_{first}"
            yield f"{indent}begin : {block}"
            yield f"{indent}  integer row;"
            yield f"{indent}  for (row = {first}; row < {last}; row = row + 1)"
            yield f"{indent}    {memory}[row] = {value};"
            yield f"{indent}end"
        at = end
