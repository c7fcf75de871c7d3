"""The core's Verilog, which takes seconds to make: kept as long as the gateware is the same."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import weft.hw
from weft.errors import RefusedError
from weft.hw.config import Config
from weft.sim.cache import cached, digest


def core_verilog(config: Config, program_digest: str | None = None) -> str:
    """`weft.hw.verilog.to_verilog`, from the cache where it was made before.

    Parameters
    ----------
    config : Config
    program_digest : str, optional
        For the header; it has no say in what is kept.
    """
    gateware = sorted(Path(weft.hw.__file__).parent.rglob("*.py"))
    sources = [part for path in gateware for part in (path.name, path.read_bytes())]
    key = digest([config.digest, version("amaranth"), version("weft"), *sources])

    def make(folder: Path) -> None:
        (folder / "core.v").write_text(_convert(config))

    try:
        text = (cached("verilog", key, make) / "core.v").read_text()
    except RefusedError:  # a cache that cannot be written is no reason to fail
        text = _convert(config)
    if program_digest is None:
        return text
    line = f"// configuration digest: {config.digest}\n"
    return text.replace(line, f"{line}// program digest: {program_digest}\n", 1)


def _convert(config: Config) -> str:
    # Amaranth's back end takes a while to import, and what is kept needs none of it.
    from weft.hw.verilog import to_verilog  # noqa: PLC0415

    with _without_collection():
        return to_verilog(config)


@contextmanager
def _without_collection() -> Iterator[None]:
    """No garbage collection: Amaranth's millions of objects all live until the end.

    Looking through them again and again takes a quarter of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
