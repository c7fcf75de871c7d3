"""Reading a report's page: its elements, its text, its tables."""

import html
import re
from html.parser import HTMLParser

#: Elements without an end.
VOID = {"meta", "link", "wbr"}


class Elements(HTMLParser):
    """Checks that elements nest, and collects identities and where links lead."""

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        found = dict(attrs)
        assert len(found) == len(attrs)
        self.ids += [found["id"]] if "id" in found else []
        if tag == "a":
            self.links.append(found["href"])
        else:
            self.sources += [found[key] for key in ("src", "href", "data") if key in found]

    def handle_startendtag(self, tag, attrs):
        assert tag == "path"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def text(page: str) -> str:
    """What is read, with single spaces and plain signs; drawings left out."""
    body = page.partition("<header>")[2]
    body = re.sub(r"<svg.*?</svg>|<wbr>|&shy;", "", body, flags=re.DOTALL)
    body = html.unescape(re.sub("<[^>]*>", " ", body))
    return " ".join(re.sub("[\N{MINUS SIGN}\N{EN DASH}]", "-", body).split())


def rows(page: str, heading: str) -> list[list[str]]:
    """Cells of the table that begins with a heading."""
    found = next(
        table for table in re.findall(r"<table.*?</table>", page, re.DOTALL)
        if heading in text("<header>" + table.partition("</thead>")[0])
    )  # fmt: skip
    return [
        [
            text("<header>" + cell)
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        ]
        for row in re.findall(r"<tr.*?</tr>", found, re.DOTALL)
    ]  # fmt: skip
