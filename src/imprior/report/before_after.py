"""What pages that show images before and after a task have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from torch import Tensor

from imprior.data.files import replace_file
from imprior.report import figures
from imprior.report.page import Block, Fact, Facts, Page, Picture, Section
from imprior.report.tables import MISSING, seconds
from imprior.tasks.denoise import Quality
from imprior.tasks.image_files import PAGE

# A page is to be opened in a browser, however many and large the images are.
MOST_IMAGES, MOST_PIXELS = 8, 384


class Done(Protocol):
    """What became of one image."""

    @property
    def path(self) -> str:
        """The file that was read."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of what was made."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know about it, in sentences."""
        ...

    @property
    def seconds(self) -> float:
        """How long it took."""
        ...


Result = TypeVar("Result", bound=Done)


def page_of(out: Path) -> Path:
    """The page that tells of what is written to a folder, or to one file."""
    one_file = bool(out.suffix) and not out.is_dir()
    return out.with_suffix(".html") if one_file else out / PAGE


def refuse_page(out: Path, instead: str = "choose another --out, or --overwrite") -> None:
    """Raises ValueError if there is a page already, which might tell of something else."""
    if (path := page_of(out)).exists():
        raise ValueError(f"{path} is there already: {instead}")


def write_page(page: Page, out: Path) -> Path:
    """Writes the page of what was written to `out`; returns where it is.

    Raises:
        OSError: If the file cannot be written.
    """
    path = page_of(out)
    replace_file(path, page.html().encode())
    return path


def sections(
    total: Sequence[Block], results: Sequence[Result], show: Callable[[Result], list[Block]]
) -> list[Section]:
    """The sections of a page: figures of all images, the first images, and how many more."""
    rest = len(results) - MOST_IMAGES
    return [
        Section("In figures", total),
        *(Section(Path(each.path).name, show(each)) for each in results[:MOST_IMAGES]),
        *([Section("The others", [f"{rest} more images are not shown."])] if rest > 0 else []),
    ]


def counted(results: Sequence[Done]) -> str:
    """How many images there are, in words."""
    return "An image" if len(results) == 1 else f"{len(results)} images"


def facts(results: Sequence[Done], *more: Fact) -> Facts:
    """How many images, `more`, and how long all took."""
    number = Fact(str(len(results)), "images")
    return Facts([number, *more, Fact(seconds(sum(each.seconds for each in results)), "in all")])


def told(size: str, result: Done) -> str:
    """A paragraph: what its size is, how much of it is shown, and the notes."""
    if max(result.shape[1:]) > MOST_PIXELS:
        size += f", of which the middle {MOST_PIXELS} of each side are shown"
    notes = [f"{note[0].upper()}{note[1:]}." for note in result.notes]
    return " ".join([f"{size}.", *notes])


def picture(x: Tensor, bits: int, alt: str, caption: str) -> Picture:
    """An image, integers (C, H, W), as a picture."""
    return Picture(figures.png(figures.to_rgb(x, bits)), alt, caption=caption, pixelated=True)


def middle(x: Tensor, factor: int = 1, pixels: int = 1) -> Tensor:
    """The middle of an image, the same part before and after.

    Arguments:
        x: (C, H, W).
        factor: How many times larger images are after than before.
        pixels: Rows and columns of `x` for one pixel of the image before.
    """
    for axis in (1, 2):
        length = x.shape[axis] // pixels
        shown = min(length, MOST_PIXELS // factor)
        x = x.narrow(axis, pixels * ((length - shown) // 2), pixels * shown)
    return x


def decibel(value: float | None) -> str:
    """A PSNR for people."""
    return MISSING if value is None else f"{value:.2f}"


def similarity(value: float | None) -> str:
    """A structural similarity for people."""
    return MISSING if value is None else f"{value:.4f}"


def cells(quality: Quality | None) -> list[str]:
    """Both of them."""
    if quality is None:
        return [MISSING, MISSING]
    return [decibel(quality.psnr), similarity(quality.ssim)]
