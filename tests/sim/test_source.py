"""Verilog from the cache is the Verilog that the gateware makes."""

import gc

import pytest

from weft.hw.config import Config
from weft.hw.verilog import to_verilog
from weft.sim.verilog import source

SMALL = Config(rows=2, columns=2, activation_depth=64, weight_depth=32, parameter_depth=32)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Configurations that were converted, with a cache of their own."""
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "cache"))
    convert, made = source._convert, []

    def counted(config):
        made.append(config)
        return convert(config)

    monkeypatch.setattr(source, "_convert", counted)
    return made


def test_made_once(made):
    for digest in (None, "0123abcd", "4567ef01"):
        assert source.core_verilog(SMALL, digest) == to_verilog(SMALL, digest)
    assert made == [SMALL]
    assert gc.isenabled()


def test_another_configuration_is_made(made):
    other = Config(rows=2, columns=2, activation_depth=128, weight_depth=32, parameter_depth=32)
    texts = [source.core_verilog(config) for config in (SMALL, other)]
    assert texts == [to_verilog(SMALL), to_verilog(other)]
    assert made == [SMALL, other]


def test_without_a_cache(made, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "file" / "cache"))
    assert source.core_verilog(SMALL, "0123abcd") == to_verilog(SMALL, "0123abcd")
    assert made == [SMALL]


def test_collection_goes_on_after_an_error(monkeypatch):
    def broken(config):
        assert not gc.isenabled()
        raise ZeroDivisionError

    monkeypatch.setattr("weft.hw.verilog.to_verilog", broken)
    with pytest.raises(ZeroDivisionError):
        source._convert(SMALL)
    assert gc.isenabled()
