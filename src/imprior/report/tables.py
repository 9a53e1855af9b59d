"""Tables: rows of text that a terminal and a page both show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MISSING = "–"


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first column names what a row is about.

    Attributes:
        header: Names of the columns.
        rows: Cells, as many in a row as there are names.
        best: For each row the column to point out; None for none.
        caption: One sentence that says what is shown, in which unit.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    best: Sequence[int | None] = ()
    caption: str = ""

    def text(self) -> str:
        """The table for a terminal, without its caption.

        Example:
            >>> print(Table(["image", "png"], [["a.png", "4.467"]]).text())
            image    png
            a.png  4.467
        """
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        return "\n".join(line(cells, widths) for cells in (self.header, *self.rows))


def line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Cells in columns of the given widths: the first to the left, numbers to the right."""
    first = cells[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "  ".join([first, *rest]).rstrip()


def number(value: float | None) -> str:
    """Three decimals, as bits per dimension are quoted; a dash if there is no value."""
    return MISSING if value is None else f"{value:.3f}"


def size(num_bytes: float) -> str:
    """A file size for people, in the units of storage makers.

    Example:
        >>> size(999), size(123456)
        ('999 B', '123.5 kB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 1000 or unit == "GB":
            break
        num_bytes /= 1000
    return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"


def seconds(value: float) -> str:
    """A duration for people: two figures of what matters.

    Example:
        >>> seconds(0.123), seconds(7.25), seconds(135)
        ('0.12 s', '7.2 s', '2 min 15 s')
    """
    if value >= 100:
        minutes, rest = divmod(round(value), 60)
        return f"{minutes} min {rest:02d} s"
    return f"{value:.1f} s" if value >= 1 else f"{value:.2f} s"


def comparison(
    images: Mapping[str, Mapping[str, float]], total: Mapping[str, float], caption: str = ""
) -> Table:
    """Bits per dimension of each image under models and codecs, lowest pointed out.

    Arguments:
        images: Name of an image -> name of a model or codec -> bits per dimension.
        total: The same of all images together; its names are the columns.
        caption: As in `Table`.
    """
    names = list(total)
    lines = [*images.items(), ("total", total)]
    rows = [[image, *(number(values.get(name)) for name in names)] for image, values in lines]
    best = [1 + names.index(min(values, key=lambda name: values[name])) for _, values in lines]
    return Table(["image", *names], rows, best, caption)
