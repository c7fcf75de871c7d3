"""weft: weaves a trained network into an FPGA.

The functions here are the commands of the command line: ``weft.simulate`` does what
``weft simulate`` does and returns what ``--json`` prints as `to_json()`. `Device` is a
board that runs a compiled model. All are imported when first used, so that ``import weft``
is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from weft.errors import InputError, Problem, RefusedError, UnsupportedError, WeftError

if TYPE_CHECKING:
    from weft.commands.board_sim import board_sim
    from weft.commands.build import build
    from weft.commands.check import check
    from weft.commands.compile import compile_model
    from weft.commands.estimate import estimate
    from weft.commands.flash import flash
    from weft.commands.profile import profile
    from weft.commands.quantize import quantize_model
    from weft.commands.run import run
    from weft.commands.simulate import simulate
    from weft.commands.validate import validate
    from weft.commands.verify import verify
    from weft.device import Device

__all__ = [
    "Device",
    "InputError",
    "Problem",
    "RefusedError",
    "UnsupportedError",
    "WeftError",
    "board_sim",
    "build",
    "check",
    "compile_model",
    "estimate",
    "flash",
    "profile",
    "quantize_model",
    "run",
    "simulate",
    "validate",
    "verify",
]

#: The module of each name.
_PLACES = {
    "Device": "weft.device",
    "board_sim": "weft.commands.board_sim",
    "build": "weft.commands.build",
    "check": "weft.commands.check",
    "compile_model": "weft.commands.compile",
    "estimate": "weft.commands.estimate",
    "flash": "weft.commands.flash",
    "profile": "weft.commands.profile",
    "quantize_model": "weft.commands.quantize",
    "run": "weft.commands.run",
    "simulate": "weft.commands.simulate",
    "validate": "weft.commands.validate",
    "verify": "weft.commands.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'weft' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
