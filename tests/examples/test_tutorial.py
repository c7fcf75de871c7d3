"""The tutorial: its notebook runs, and the commands of its page, and of all others, exist."""

import json
import re
import shlex
from pathlib import Path

import nbformat
import pytest
from click import NoSuchOption
from nbclient import NotebookClient

from weft.cli import cli

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "tutorial.ipynb"
TUTORIAL = "docs/tutorial.md"
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = ["README.md", *sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md"))]


def shell_commands(page: str) -> list[list[str]]:
    """Arguments of each indented line that calls weft, with the lines that continue it."""
    text = (ROOT / page).read_text().replace("\\\n", " ")
    lines = re.findall(r"^    (?:\$ )?weft (.*)$", text, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def parse(arguments: list[str]) -> str:
    """The subcommand's name; a click.UsageError where it would refuse the line."""
    with cli.make_context("weft", list(arguments)) as group:
        name, command, rest = cli.resolve_command(group, list(arguments))
        with command.make_context(name, rest, parent=group):
            return name


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_pages_parse(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where a report may be written
    for arguments in shell_commands(page):
        parse(arguments)
    assert list(tmp_path.iterdir()) == []


def test_tutorial_has_the_whole_path():
    names = {arguments[0] for arguments in shell_commands(TUTORIAL)}
    assert names == set(cli.commands) - {"demo"}


def test_an_unknown_option_is_found():
    with pytest.raises(NoSuchOption, match="--reprot"):
        parse(["quantize", "model.onnx", "--data", "x.npz", "-o", "q.onnx", "--reprot", "r.html"])


def test_python_of_the_tutorial_compiles():
    blocks = PYTHON.findall((ROOT / TUTORIAL).read_text())
    assert len(blocks) == 2
    for block in blocks:
        compile(block, TUTORIAL, "exec")


def test_printed_lines_fit_80_columns():
    text = PYTHON.sub("", (ROOT / TUTORIAL).read_text())
    lines = re.findall(r"^    (.*)$", text, re.MULTILINE)
    assert max(map(len, lines)) <= 80


def test_links_of_the_tutorial_lead_somewhere():
    for text in (ROOT / TUTORIAL).read_text(), NOTEBOOK.read_text():
        for link in re.findall(r"\]\(([^)#]+)(?:#[\w-]+)?\)", text):
            assert (ROOT / "docs" / link).exists(), link


def test_notebook_has_no_outputs():
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None


def execute(folder):
    """The notebook's cells after it ran in a folder, in a kernel of this Python."""
    client = NotebookClient(
        nbformat.read(NOTEBOOK, as_version=4), timeout=120, kernel_name="python3",
        resources={"metadata": {"path": folder}},
    )  # fmt: skip
    return client.execute().cells


def shown(cells, kind):
    """What the cells show of a MIME type."""
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [output["data"][kind] for output in outputs if kind in output.get("data", {})]


def printed(cells):
    return "".join(
        output["text"]
        for cell in cells
        for output in cell.get("outputs", [])
        if output.get("name") == "stdout"
    )


def test_notebook_shows_what_its_text_promises(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    cells = execute(tmp_path)

    quantized, validation = shown(cells, "text/html")
    assert "weft-quantized-" in quantized
    assert "max_pool2d_1" in quantized
    assert "weft-validation-" in validation
    assert "98.87%" in validation
    assert len(shown(cells, "image/png")) == 1

    text = printed(cells)
    assert "digits.onnx runs on iCEBreaker\n" in text
    assert "equal on 355 samples: golden == program\n" in text
    found = re.findall(r"^(\w[\w, ]+?) {2,}98\.87% +([\d.]+) dB$", text, re.MULTILINE)
    ratio = {name: float(value) for name, value in found}
    assert len(ratio) == 8
    assert ratio["minmax, no repair"] < ratio["minmax"] < ratio["mse"] < ratio["mse, zero points"]
