"""Tables: rows of text that a terminal and a page both show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
    return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s" if value >= 1 else f"{value:.2f} s"


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


def description(record: Mapping[str, Any]) -> str:
    """What `tasks.info.describe` found, for a terminal: a line, or for a model several."""
    if record["kind"] == "model":
        return _model(record)
    channels, height, width = record["shape"]
    facts = [f"{width} x {height} pixels", f"{channels} channels", f"{record['bits']} bits"]
    if record["kind"] == "compressed":
        facts += [f"{size(record['bytes'])}, {record['bits_per_dim']:.3f} bits per value"]
        facts += [f"by the model {record['model_digest'][:12]}"]
    else:
        facts += ["the last is opacity"] * record["alpha"]
        facts += [f"values {record['lowest']} to {record['highest']}"]
        if record["resolution"]:
            facts += ["{:.4g} x {:.4g} pixels per inch".format(*record["resolution"])]
        facts += [f"ICC profile of {size(record['icc_bytes'])}"] * bool(record["icc_bytes"])
        facts += [f"Exif of {size(record['exif_bytes'])}"] * bool(record["exif_bytes"])
    page = f"#{record['page']}" if record.get("page") else ""
    return f"{record['path']}{page}: {', '.join(facts)}"


def _model(record: Mapping[str, Any]) -> str:
    depth = f"{record['bits']}-bit " if record["bits"] else ""
    kind = f"a {record['likelihood']} on" if record["likelihood"] else "a denoiser of"
    field = record["receptive_field"]
    looks = {"looks at": f"{field} x {field} pixels for each that it makes"} if field else {}
    facts = {
        "what": f"{record['model']}, {kind} {depth}images of {record['channels']} channels",
        "can": ", ".join(record["commands"]),
        **looks,
        "parameters": f"{record['parameters']:,}",
        "config": record["config"],
        **record["provenance"],
        "digest": record["digest"],
    }
    width = max(map(len, facts))
    lines = (f"  {name:<{width}}  {_flat(value)}" for name, value in facts.items())
    return "\n".join([f"{record['path']}", *lines])


def _flat(value: Any) -> str:
    """JSON values on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_flat(item)}" for name, item in value.items())
    if isinstance(value, list):
        return "; ".join(map(_flat, value))
    return (
        f"{value:.6g}" if isinstance(value, float) else "not known" if value is None else str(value)
    )
