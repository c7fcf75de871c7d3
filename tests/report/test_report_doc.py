"""docs/report.md is about this report."""

import re
from pathlib import Path

from weft.cli import cli
from weft.report.terminal import SHADES

FOLDER = Path(__file__).parents[2] / "docs"
PAGE = (FOLDER / "report.md").read_text()


def test_its_picture_is_there_and_small():
    (picture,) = re.findall(r"!\[[^]]*\]\(([^)]*)\)", PAGE)
    data = (FOLDER / picture).read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) < 150_000


def test_its_options_exist():
    for command, line in re.findall(r"^ *weft (quantize|validate) (.*(?:\\\n.*)?)$", PAGE, re.M):
        known = {name for option in cli.commands[command].params for name in option.opts}
        assert set(re.findall(r"(?<= )--?[a-z-]+", line)) <= known


def test_its_text_heat_map_has_the_shades_of_weft():
    lines = re.findall(r"^ {4}\w+ {2,}(.*\[.*\].*) +[\d.]+%$", PAGE, re.M)
    assert lines
    assert set("".join(lines)) <= {*SHADES, "[", "]"}
