"""A page is one file: valid, escaped, described for those who cannot see it, asking for nothing."""

from __future__ import annotations

import base64
from html.parser import HTMLParser

import pytest

from imprior.report.page import Block, Fact, Facts, Gallery, Page, Picture, Section
from imprior.report.tables import Table

VOID = {"meta", "img"}


class Reader(HTMLParser):
    """Collects what a page consists of and sees that its tags are closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if self.open[-1:] != ["style"] else ""

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def reader() -> Reader:
    blocks: list[Block] = [
        "A <b>paragraph</b> & more.",
        Table(["image", "a", "b"], [["<x>.png", "1.0", "2.0"], ["total", "3", "4"]], [1, 2], "T"),
        Picture(b"<svg/>", 'the "alt"', "svg+xml", caption="below"),
        Gallery([Picture(b"1", "one", pixelated=True), Picture(b"2", "two")], columns=2),
        Facts([Fact("42 kB", "size")]),
    ]
    page = Page("Title <1>", "Lead", [Section("First", blocks), Section("Second", ())], "end")
    return Reader(page.html())


def test_everything_is_there_and_escaped(reader: Reader) -> None:
    assert not reader.open
    assert not reader.all("b") and not reader.all("x") and not reader.all("script")
    for text in ("A <b>paragraph</b> & more.", "<x>.png", "Title <1>", "below", "42 kB", "Second"):
        assert text in reader.text


def test_nothing_is_loaded_from_elsewhere(reader: Reader) -> None:
    sources = [image["src"] for image in reader.all("img")]
    assert len(sources) == 3 and not reader.all("link")
    assert all(source and source.startswith("data:image/") for source in sources)
    assert base64.b64decode(str(sources[0]).split(",")[1]) == b"<svg/>"


def test_it_is_for_everyone(reader: Reader) -> None:
    assert reader.all("html") == [{"lang": "en"}]
    assert [image["alt"] for image in reader.all("img")] == ['the "alt"', "one", "two"]
    metas = {meta["name"]: meta["content"] for meta in reader.all("meta") if "name" in meta}
    assert "width=device-width" in str(metas["viewport"])
    assert metas["color-scheme"] == "light dark"
    assert {cell.get("scope") for cell in reader.all("th")} == {"col", "row"}


def test_best_of_each_row_stands_out(reader: Reader) -> None:
    assert len(reader.all("strong")) == 2
    assert {"class": "total"} in reader.all("tr")
