"""Images as they are stored in the records of a data set: the bytes of files, not yet read."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from imprior.data.images import Image, ImageError, read


@dataclass(frozen=True)
class Encoded:
    """The bytes of an image file, or where it lies; they take a tenth of the memory of pixels.

    Attributes:
        name: For people.
        data: The bytes, if they are at hand.
        file: Where the image lies otherwise; empty: nowhere.
    """

    name: str
    data: bytes | None = None
    file: str = ""

    def read(self) -> Image:
        """The image.

        Raises:
            ImageError: If there is none, or it cannot be read faithfully.
        """
        if self.data is not None:
            return _decode(self.data, self.name)
        if not self.file:
            raise ImageError(f"{self.name}: has no image in its column")
        return read(self.file)

    @property
    def digest(self) -> bytes:
        """What tells images apart: SHA-256 of the bytes, else of the name of the file."""
        return hashlib.sha256(self.file.encode() if self.data is None else self.data).digest()

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        return len(self.name) + len(self.data or b"") + 200


def mixed(entries: Iterable[Encoded], room: int, generator: torch.Generator) -> Iterator[Encoded]:
    """All entries, each drawn at random from those of the next ones that `room` bytes hold."""
    held: list[Encoded] = []
    size = 0
    for entry in entries:
        held.append(entry)
        size += entry.size
        while size > room:
            place = int(torch.randint(len(held), (), generator=generator))
            held[place], held[-1] = held[-1], held[place]
            drawn = held.pop()
            size -= drawn.size
            yield drawn
    yield from (held[place] for place in torch.randperm(len(held), generator=generator).tolist())


def _decode(data: bytes, name: str) -> Image:
    """Reads an image from bytes, through a file, since all readers of images take files."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "image"
        file.write_bytes(data)
        try:
            return replace(read(file), path=name)
        except ImageError as error:
            raise ImageError(f"{name}: {str(error).removeprefix(f'{file}: ')}") from None
