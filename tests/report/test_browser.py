"""Reports in headless Chromium: they load without complaint or request, and fit the window."""

import struct

import numpy as np
import pytest
import report_samples
from browser import CHROMIUM, Browser

from weft.commands.quantize import Quantized
from weft.report.page import notebook_html, write_report
from weft.validation.result import Validation

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

RESULTS = {
    "5 tensors": report_samples.small,
    "150 tensors": report_samples.large,
    "150 tensors, multiplier": lambda: report_samples.large(multiplier=True),
    "validation": report_samples.validation,
    "validation of 60 layers": lambda: report_samples.validation(60),
}

#: Widths of what lies beside the page's own margin, and what a reader sees of the heat map.
WIDE = """[document.documentElement.scrollWidth, document.body.scrollWidth,
  ...[...document.querySelectorAll('section, .rows, .facts')].map(
    element => element.getBoundingClientRect().right)]"""

#: For each strip: its width and height, and whether it is as high as its row.
STRIPS = """[...document.querySelectorAll('td.strip')].map(cell => {
  const strip = cell.querySelector('svg').getBoundingClientRect()
  return [strip.width, strip.height, cell.parentElement.getBoundingClientRect().height]
})"""

#: Labels of axes that lie on one another.
COLLISIONS = """[...document.querySelectorAll('th.axis')].flatMap(axis => {
  const spans = [...axis.querySelectorAll('span')].map(span => span.getBoundingClientRect())
  return spans.slice(1).filter((span, i) => span.left < spans[i].right - 1)
}).length"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture(scope="module", params=RESULTS)
def page(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(RESULTS[request.param](), path)
    return path


def size(picture: bytes) -> tuple[int, int]:
    assert picture.startswith(b"\x89PNG")
    return struct.unpack(">II", picture[16:24])


def test_the_browser_sees_what_must_not_be(tmp_path, browser):
    path = tmp_path / "bad.html"
    path.write_text("<img src=missing.png><script>console.log('said'); nothing()</script>")
    browser.open(path, 700)
    complaints = " ".join(browser.complaints)
    assert "said" in complaints
    assert "nothing is not defined" in complaints
    assert browser.requests == [path.as_uri(), (tmp_path / "missing.png").as_uri()]


@pytest.mark.parametrize("width", [1400, 700])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_loads_and_fits(page, width, dark, browser):
    browser.open(page, width, dark=dark)
    assert browser.complaints == []
    assert browser.requests == [page.as_uri()]
    assert browser.evaluate("window.innerWidth") == width
    assert max(browser.evaluate(WIDE)) <= width
    assert all(
        wide >= 150 and high >= 15 and abs(high - row) <= 2
        for wide, high, row in browser.evaluate(STRIPS)
    )
    assert browser.evaluate(COLLISIONS) == 0
    picture = browser.picture()
    assert size(picture) == (width, browser.evaluate("document.documentElement.scrollHeight"))
    colours = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colours == ("rgb(21, 24, 28)" if dark else "rgb(255, 255, 255)")
    # An empty page of this size takes some hundred bytes.
    assert len(picture) > 20_000


def test_it_prints(page, browser):
    browser.open(page, 1000)
    assert browser.pdf().startswith(b"%PDF")


def test_a_shape_is_where_its_power_of_two_is(tmp_path, browser):
    """Values of 1 alone: their cell lies below the label 2^0, in the upper lane."""
    path = tmp_path / "report.html"
    values = np.array([1.0] * 9 + [0.001])
    write_report(report_samples.quantized([report_samples.tensor("x", values, 2.0**-5)]), path)
    browser.open(path, 1400)
    cell, label, strip = browser.evaluate("""(() => {
      const edges = r => [r.left, r.right, r.top, r.bottom]
      const box = element => edges(element.getBoundingClientRect())
      const labels = [...document.querySelectorAll('th.axis span')]
      return [box(document.querySelector('.strip .pos')),
              box(labels.find(label => label.textContent == '20')),
              box(document.querySelector('.strip svg'))]
    })()""")
    assert (cell[0] + cell[1]) / 2 == pytest.approx((label[0] + label[1]) / 2, abs=1)
    assert cell[3] <= (strip[2] + strip[3]) / 2 + 0.5


def test_names_from_foreign_files_are_text(tmp_path, browser):
    name = "<script>document.title = 'run'</script><img src=x onerror=alert(1)>&amp;\"'"
    result = report_samples.quantized([report_samples.tensor(name, [1.0, 2.0], 0.125)])
    path = tmp_path / "report.html"
    write_report(result, path)
    browser.open(path, 1400)
    assert browser.complaints == []
    assert browser.requests == [path.as_uri()]
    assert browser.evaluate("document.title") == "net_int8.onnx: weft quantize"
    assert browser.evaluate("document.querySelector('.heat tbody th').title") == name


@pytest.mark.parametrize("make", [report_samples.small, report_samples.validation])
def test_parts_of_a_notebook(make, tmp_path, browser):
    """Two parts on one page, among a notebook's styles, and nothing else is restyled."""
    result = make()
    assert isinstance(result, Quantized | Validation)
    part = result._repr_html_()
    assert part == notebook_html(result)
    path = tmp_path / "notebook.html"
    path.write_text(
        "<!doctype html><meta charset=utf-8><style>"
        ".nb td, .nb th { text-align: right } .nb p { margin: 1em } .nb h2 { color: red }"
        ".nb tbody tr:nth-child(odd) { background: red }</style>"
        f"<table id=own><tr><td>x</table><div class=nb style='width: 800px'>{part}</div>"
    )
    browser.open(path, 1400)
    assert browser.complaints == []
    assert browser.requests == [path.as_uri()]
    styles = browser.evaluate("""(() => {
      const style = selector => getComputedStyle(document.querySelector(selector))
      return [style('tbody th').textAlign, style('.weft p').marginTop, style('h2').color,
              style('.weft tbody tr').backgroundColor]
    })()""")
    assert styles == ["left", "0px", "rgb(29, 34, 40)", "rgba(0, 0, 0, 0)"]
    assert browser.evaluate("getComputedStyle(document.querySelector('#own')).fontSize") == "16px"
    assert browser.evaluate("document.querySelector('.weft').scrollWidth") == 800
