"""Data sets by name: those that papers report on, any other of the hub, and local shards.

Of each name the table says where on the Hugging Face hub the images are and what becomes of them
first. Nothing is downloaded before a stream is opened, and nothing is stored then.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from glob import has_magic
from pathlib import Path

from torch.nn.functional import interpolate

from imprior.data import streams
from imprior.data.datasets import find_images
from imprior.data.images import Image
from imprior.data.streams import SHARDS, ImageStream, expanded

SMALL_BYTES = 2**28  # of shards: what is in them is small enough to be kept in memory

_CELEBA = "CelebA: non-commercial research"
_LSUN = "LSUN: as of the photographs' owners; research"


@dataclass(frozen=True)
class Collection:
    """Images of a data set that come in streams.

    Attributes:
        name: What was asked for, and what that is.
        open: Opens the stream to train on, with options of `ImageStream`.
        validation: Opens one of images for validation; None: some of those to train on are.
        side: Images become the square in their middle, reduced or enlarged to this side; 0: no.
        colour: Whether grey images become RGB of three equal channels.
        small: Whether all images fit in memory.
        licence: Of the images.
        state: What else tells data apart: SHA-256 of the names and sizes of local shards.
    """

    name: str
    open: Callable[..., ImageStream]
    validation: Callable[..., ImageStream] | None = None
    side: int = 0
    colour: bool = False
    small: bool = False
    licence: str | None = None
    state: str = ""

    def prepared(self, image: Image) -> Image:
        """What an image becomes before a model sees it."""
        x = image.pixels
        if self.colour and len(x) == 1:
            x = x.expand(3, -1, -1)
        if self.side:
            least = min(x.shape[1:])
            top, left = ((length - least) // 2 for length in x.shape[1:])
            square = x[None, :, top : top + least, left : left + least].float()
            size = (self.side, self.side)
            square = interpolate(square, size, mode="bilinear", antialias=True)
            x = square[0].round().clamp(0, 2**image.bits - 1).long()
        return replace(image, pixels=x)


@dataclass(frozen=True)
class _Row:
    """Where on the hub the images of a name are; `validation` is a split that nobody reports on."""

    hub: str
    column: str
    licence: str
    about: str
    validation: str = ""
    side: int = 0
    small: bool = False


NAMED = {
    "celeba-hq-256": _Row(
        "korexyz/celeba-hq-256x256", "image", _CELEBA, "28,000 of the 30,000 images, as PNG"
    ),
    "cifar-10": _Row(
        "uoft-cs/cifar10", "img", "not stated", "the 50,000 images to train on", small=True
    ),
    "imagenet-128": _Row(
        "ILSVRC/imagenet-1k", "image", "ImageNet: non-commercial research, after its terms are "
        "accepted on the hub", "1,281,167 images to train on, in 128 x 128", side=128,
    ),
    "lsun-bedroom-tenth": _Row(
        "pcuenq/lsun-bedrooms", "image", _LSUN, "a tenth of LSUN's bedrooms, in 128 x 128",
        validation="test", side=128,
    ),
    "lsun-church": _Row(
        "tglcourse/lsun_church_train", "image", _LSUN,
        "LSUN's outdoor churches to train on, in 128 x 128", validation="test", side=128,
    ),
}  # fmt: skip

# Of these we know no copy on the hub that is complete and says what it is.
UNAVAILABLE = {
    "celeba-hq-1024": "make it as github.com/tkarras/progressive_growing_of_gans says",
    "lsun-bedroom": "take github.com/fyu/lsun, or lsun-bedroom-tenth, a tenth of it",
    "lsun-tower": "take github.com/fyu/lsun",
}

_HUB = re.compile(r"hub:([\w.-]+/[\w.-]+)(?:@([\w./-]+))?(?::([\w.-]+))?(?::([^:]+))?")


def find(words: Sequence[str]) -> list[Path] | Collection:
    """The data that words of the command line mean.

    Arguments:
        words: Files, globs and folders of images; or Parquet or tar shards; or one name of
            `NAMED`; or one `hub:OWNER/NAME`, with `@REVISION`, `:SPLIT` and `:COLUMN` after it
            where they are needed. What exists as a file or folder is that.

    Raises:
        ValueError: If they mean nothing, or what they mean is not available.
    """
    if any(Path(word).suffix.lower() in SHARDS for word in words):
        return _of_shards(words)
    names = [word for word in words if _is_name(word) and not Path(word).exists()]
    if names and len(words) > 1:
        raise ValueError(
            f"{names[0]} is one data set, to be given alone, not with {len(words) - 1} more"
        )
    return _of_name(names[0]) if names else _files(words)


def _is_name(word: str) -> bool:
    return word.startswith("hub:") or word in NAMED or word in UNAVAILABLE


def _of_name(word: str) -> Collection:
    if word.startswith("hub:"):
        return _of_hub(word)
    if word in UNAVAILABLE:
        raise ValueError(
            f"{word} is on the hub in no copy that we could confirm: {UNAVAILABLE[word]}, "
            "and give the folder of its images"
        )
    row = NAMED[word]
    split = partial(streams.hub, row.hub, column=row.column)
    return Collection(
        f"{word}: {row.about} (hub:{row.hub})",
        partial(split, "train"),
        partial(split, row.validation) if row.validation else None,
        side=row.side,
        colour=True,
        small=row.small,
        licence=row.licence,
    )


def _of_hub(word: str) -> Collection:
    parts = _HUB.fullmatch(word)
    if parts is None:
        raise ValueError(f"{word} is not hub:OWNER/NAME, with @REVISION or :SPLIT after it or not")
    name, revision, split, column = parts.groups()
    options = {"revision": revision, "column": column}
    return Collection(word, partial(streams.hub, name, split or "train", **options))


def _of_shards(words: Sequence[str]) -> Collection:
    files = [file for word in words for file in expanded(word)]
    local = [Path(file) for file in files if Path(file).is_file()]
    sizes = [file.stat().st_size for file in local]
    told = [(file.name, size) for file, size in zip(local, sizes, strict=True)]
    some, more = ", ".join(Path(file).name for file in files[:3]), len(files) - 3
    return Collection(
        f"shards {some}" + f" and {more} more" * (more > 0),
        partial(streams.shards, files),
        small=len(local) == len(files) and sum(sizes) <= SMALL_BYTES,
        state=hashlib.sha256(repr(told).encode()).hexdigest(),
    )


def _files(words: Sequence[str]) -> list[Path]:
    try:
        return find_images(words)
    except ValueError as error:
        like_names = [w for w in words if re.fullmatch(r"[\w-]+", w) and not has_magic(w)]
        if not any(not Path(word).exists() for word in like_names):
            raise
        raise ValueError(
            f"{error}; data sets that have a name: {', '.join(NAMED)}, and any as hub:OWNER/NAME"
        ) from None
