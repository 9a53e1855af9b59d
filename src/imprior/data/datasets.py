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
        split: A fixed part of them is for training, the rest for tests; by name, for good.
        channels: 1 (grey) or 3 (RGB); all have 8 bits.
        licence: As scikit-image's documentation states it.
        source: Who made it, or where scikit-image has it from, in the same words.
    """

    name: str
    split: Split
    channels: int
    licence: str
    source: str

    @property
    def path(self) -> Path:
        """Where it is installed."""
        return Path(str(resources.files("skimage") / "data" / self.name))


# All photographs of things whose licence scikit-image states; those that were JPEG files train.
# Left out: drawings, text, microscopy, what is blurred on purpose, and the moon and a motorcycle,
# of which no licence is stated.
PHOTOGRAPHS = (
    Photograph("astronaut.png", "train", 3, "public domain", "NASA, flic.kr/p/r9qvLn"),
    Photograph("brick.png", "train", 1, "CC0", "CC0Textures, Bricks25"),
    Photograph("chelsea.png", "test", 3, "CC0", "Stefan van der Walt"),
    Photograph("coffee.png", "test", 3, "CC0", "Rachel Michetti"),
    Photograph("camera.png", "test", 1, "CC0", "Lav Varshney"),
    Photograph("coins.png", "train", 1, "no known restrictions", "Brooklyn Museum, image 51611"),
    Photograph("grass.png", "train", 1, "CC0", "linolafett, deviantart.com, Grass 01"),
    Photograph("gravel.png", "train", 1, "CC0", "CC0Textures, Gravel04"),
    Photograph("hubble_deep_field.jpg", "train", 3, "public domain", "NASA, HubbleSite 2012/37"),
    Photograph("rocket.jpg", "train", 3, "public domain", "SpaceX, flickr.com 16511594820"),
)


def bundled(split: Split) -> tuple[Photograph, ...]:
    """The bundled photographs of a split."""
    return tuple(photograph for photograph in PHOTOGRAPHS if photograph.split == split)


def find_images(paths: Sequence[str | Path]) -> list[Path]:
    """The image files that files, globs and folders mean: each once, in a fixed order.

    Folders are searched with their sub-folders; what is hidden there, or has not the suffix of an
    image, is skipped, as among what globs match. A file that is named is taken as it is: images
    are told by their content, and `images.read` says what is wrong with it.

    Raises:
        ValueError: If a path means no image file.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        files = [path] if path.is_file() else _find(path)
        if not files:
            raise ValueError(f"{path} {_why_nothing(path)}")
        found.update(dict.fromkeys(files))
    return list(found)


def _find(path: Path) -> list[Path]:
    """The image files in a folder, or those that a glob matches and that are in folders it does."""
    if path.is_dir():
        inside = (file for file in path.rglob("*") if file.suffix.lower() in images.SUFFIXES)
        shown = (f for f in inside if not any(p[0] == "." for p in f.relative_to(path).parts))
        return sorted((file for file in shown if file.is_file()), key=lambda file: file.parts)
    found: list[Path] = []
    for match in sorted(map(Path, glob.glob(str(path), recursive=True)), key=lambda p: p.parts):
        found += (
            _find(match) if match.is_dir() else [match] * (match.suffix.lower() in images.SUFFIXES)
        )
    return found


def _why_nothing(path: Path) -> str:
    suffixes = ", ".join(images.SUFFIXES)
    if path.is_dir():
        return f"is a folder without images ({suffixes})"
    if glob.has_magic(str(path)):
        return f"matches no images ({suffixes})"
    return "does not exist" if not path.exists() else "is no file or folder"


def hold_out(
    files: Sequence[Path], share: float, *, root: Path | None = None
) -> tuple[list[Path], list[Path]]:
    """Splits files for training and validation, each file by its own name.

    So a file stays on its side whatever order the files come in and whichever are added.

    Arguments:
        files: What to split.
        share: Probability of validation, between 0 and 1.
        root: The folder that names are relative to; without it only the last part of a name counts.

    Returns:
        The files for training and those for validation.

    Raises:
        ValueError: If one side is empty.
    """
    sides: tuple[list[Path], list[Path]] = ([], [])
    for file in files:
        name = file.name if root is None else file.relative_to(root).as_posix()
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
        sides[number < share * 2**64].append(file)
    if not all(sides):
        raise ValueError(
            f"a share of {share} of {len(files)} files leaves none to "
            f"{'validate' if sides[0] else 'train'} on: change it, or name the files yourself"
        )
    return sides


def checksum(files: Sequence[Path]) -> str:
    """SHA-256 over the names and contents of files, in hexadecimal digits."""
    total = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").digest()
        total.update(file.name.encode() + b"\0" + content)
    return total.hexdigest()
