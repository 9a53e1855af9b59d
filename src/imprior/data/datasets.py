"""Sets of images: files and folders, and the photographs that come with scikit-image."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from imprior.data import images

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Photograph:
    """One of the photographs that lie in scikit-image's wheel.

    Attributes:
        name: Its file name there.
        split: A fixed part of it is for training, the rest for tests; by name, for good.
        licence: As scikit-image states it.
        author: Who made it, as far as scikit-image says.
    """

    name: str
    split: Split
    licence: str
    author: str

    @property
    def path(self) -> Path:
        """Where it is installed."""
        return Path(str(resources.files("skimage") / "data" / self.name))


PHOTOGRAPHS = (
    Photograph("astronaut.png", "train", "public domain", "NASA"),
    Photograph("brick.png", "train", "CC0", "CC0 Textures"),
    Photograph("chelsea.png", "test", "CC0", "Stefan van der Walt"),
    Photograph("coffee.png", "test", "CC0", "Rachel Michetti"),
    Photograph("camera.png", "test", "CC0", "Lav Varshney"),
    Photograph("grass.png", "train", "CC0", "CC0 Textures"),
    Photograph("gravel.png", "train", "CC0", "CC0 Textures"),
    Photograph("hubble_deep_field.jpg", "train", "public domain", "NASA"),
    Photograph("motorcycle_left.png", "train", "CC0", "Middlebury stereo, 2014"),
    Photograph("motorcycle_right.png", "test", "CC0", "Middlebury stereo, 2014"),
    Photograph("rocket.jpg", "train", "CC0", "SpaceX"),
)


def bundled(split: Split) -> tuple[Photograph, ...]:
    """The bundled photographs of a split."""
    return tuple(photograph for photograph in PHOTOGRAPHS if photograph.split == split)


def find_images(paths: Sequence[str | Path]) -> list[Path]:
    """The image files that files, globs and folders mean: each once, in a fixed order.

    Folders are searched with their sub-folders; what is hidden or no image there is skipped.

    Raises:
        ValueError: If a path means no image file.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        files = _find(path)
        if not files:
            suffixes = ", ".join(images.SUFFIXES)
            what = f"has no images ({suffixes})" if path.is_dir() else "is no file or folder"
            raise ValueError(f"{path} {what}")
        found.update(dict.fromkeys(files))
    return list(found)


def _find(path: Path) -> list[Path]:
    if path.is_dir():
        inside = (file for file in path.rglob("*") if file.suffix.lower() in images.SUFFIXES)
        shown = (f for f in inside if not any(p[0] == "." for p in f.relative_to(path).parts))
        return sorted(file for file in shown if file.is_file())
    if path.exists():
        return [path]
    return [
        file for name in sorted(glob.glob(str(path), recursive=True)) for file in _find(Path(name))
    ]


def checksum(files: Sequence[Path]) -> str:
    """SHA-256 over the names and contents of files, in hexadecimal digits."""
    total = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").digest()
        total.update(file.name.encode() + b"\0" + content)
    return total.hexdigest()
