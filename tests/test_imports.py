"""The import rules of docs/architecture.md, over the syntax tree of every file."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent

#: What a folder may import besides itself and the standard library; a name covers what is
#: under it. The key is a folder or, where a file has rules of its own, the file.
RULES = {
    "compiler": ["weft.errors", "weft.hw.config", "weft.hw.isa", "weft.hw.latency",
                 "numpy", "onnx", "onnxruntime", "google.protobuf", "tflite", "PIL"],
    "hw": ["weft.errors", "amaranth", "numpy"],
    # What the compiler shares with the gateware is plain data: it needs no Amaranth.
    "hw/config.py": ["weft.errors"],
    "hw/isa.py": ["weft.hw.config", "weft.hw.latency", "numpy"],
    "hw/latency.py": ["weft.hw.config"],
    "sim": ["weft.errors", "weft.compiler", "weft.hw",
            "amaranth", "cocotb", "cocotb_tools", "numpy", "platformdirs"],
    # An independent oracle: it shares no code with what it judges.
    "sim/golden.py": ["numpy"],
    "boards": ["weft.errors", "weft.hw", "weft.compiler.program", "weft.compiler.network",
               "weft.compiler.edges", "amaranth", "amaranth_boards", "numpy", "platformdirs",
               "serial"],
    "examples": ["weft.errors", "numpy", "onnx", "sklearn", "torch"],
    "weft": ["weft.boards", "weft.compiler", "weft.examples", "weft.hw", "weft.sim",
             "click", "jinja2", "matplotlib", "numpy", "rich"],
    "weft/errors.py": [],
}  # fmt: skip

#: Top-level folders; the modules in them are called ``weft.<folder>.…``, save weft's own.
FOLDERS = ("boards", "compiler", "examples", "hw", "sim", "weft")

FILES = sorted(path for folder in FOLDERS for path in (TOP / folder).rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(TOP).with_suffix("").parts
    parts = parts if parts[0] == "weft" else ("weft", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> list[tuple[int, str]]:
    """Line and full name of everything a file imports, wherever in the file."""
    module = module_of(path).split(".")
    package = module if path.name == "__init__.py" else module[:-1]
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *(node.module or "").split(".")] if node.module else base
            found += [(node.lineno, ".".join([*base, alias.name])) for alias in node.names]
    return found


def covers(rule: str, name: str) -> bool:
    return name == rule or name.startswith(f"{rule}.")


def violations(path: Path) -> list[str]:
    relative = path.relative_to(TOP)
    folder = relative.parts[0]
    allowed = RULES.get(relative.as_posix())
    if allowed is None:
        own = [] if folder == "weft" else [f"weft.{folder}"]
        allowed = [*RULES[folder], *own]
        if folder == "weft":  # its own modules are whatever lies in weft/
            allowed += [f"weft.{entry.stem}" for entry in (TOP / "weft").iterdir()]
    bad = []
    for line, name in imports(path):
        if name.split(".")[0] in sys.stdlib_module_names:
            continue
        if name == "weft" or not any(covers(rule, name) for rule in allowed):
            bad.append(f"{relative}:{line} imports {name}; may import {', '.join(allowed)}")
    return bad


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(TOP).as_posix())
def test_imports_follow_the_rules(path):
    assert violations(path) == []


def test_every_file_was_looked_at():
    assert {path.relative_to(TOP).parts[0] for path in FILES} == set(FOLDERS)
    for rule in RULES:
        assert (TOP / rule).exists()


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("hw/core.py", "from weft.compiler import network"),
        ("hw/core.py", "import hw.config"),
        ("hw/core.py", "from ..compiler.network import Conv2D"),
        ("sim/golden.py", "from weft.errors import InputError"),
        ("sim/golden.py", "from .engine import compare"),
        ("sim/rtl.py", "def f():\n    from weft.boards import registry"),
        ("boards/driver.py", "import weft.sim.golden"),
        ("compiler/lower.py", "from weft.hw.core import Core"),
        ("compiler/lower.py", "from weft.hw import core"),
        ("compiler/lower.py", "import amaranth"),
        ("weft/errors.py", "import click"),
    ],
)
def test_a_violation_is_found(place, text, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "TOP", tmp_path)
    (tmp_path / place).parent.mkdir()
    (tmp_path / place).write_text(text)
    assert len(violations(tmp_path / place)) == 1


def listed_packages() -> set[str]:
    return set(
        tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    )


def test_every_package_ships():
    """An unlisted nested package would be missing from the wheel without a word."""
    assert {module_of(path) for path in FILES if path.name == "__init__.py"} == listed_packages()
    assert {path.parent for path in FILES} == {
        path.parent for path in FILES if path.name == "__init__.py"
    }
