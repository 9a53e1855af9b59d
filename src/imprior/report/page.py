"""A report as one HTML file: text, tables and pictures inside, no script, nothing loaded."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import jinja2

from imprior.report.tables import Table


@dataclass(frozen=True)
class Picture:
    """A picture inside the page.

    Attributes:
        data: The bytes of its file.
        alt: What it shows, for those who cannot see it.
        kind: What the bytes are.
        caption: Written below.
        pixelated: Enlarge without smoothing: for pictures whose pixels are the point.
    """

    data: bytes
    alt: str
    kind: Literal["png", "svg+xml"] = "png"
    caption: str = ""
    pixelated: bool = False

    @property
    def uri(self) -> str:
        return f"data:image/{self.kind};base64,{base64.b64encode(self.data).decode()}"


@dataclass(frozen=True)
class Gallery:
    """Pictures in rows of `columns`, of two on a phone."""

    pictures: Sequence[Picture]
    columns: int = 3


@dataclass(frozen=True)
class Fact:
    """A figure to see first: large, with a line below that says what it is."""

    value: str
    label: str


@dataclass(frozen=True)
class Facts:
    """Figures in a row."""

    facts: Sequence[Fact]


Block = str | Table | Picture | Gallery | Facts


@dataclass(frozen=True)
class Section:
    """A heading and what is below it: paragraphs (plain text), tables, pictures, figures."""

    heading: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A report: title, a sentence or two, sections, and a line at the end."""

    title: str
    lead: str
    sections: Sequence[Section] = field(default_factory=tuple)
    colophon: str = ""

    template: ClassVar[str] = "page.html.j2"

    def html(self) -> str:
        """The page, a complete HTML document; every text in it is escaped."""
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("imprior.report"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        environment.filters["kind"] = lambda block: type(block).__name__
        return environment.get_template(self.template).render(page=self)
