"""What images, compressed files and models are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from imprior import base, checkpoint, denoisers
from imprior.codec.container import Container
from imprior.data.images import SUFFIXES, Image, read_pages
from imprior.tasks import compress
from imprior.tasks.files import Failure, find_files

# Ability -> the commands that it makes possible.
ABILITIES = {
    base.LikelihoodModel: ("evaluate",),
    base.Sampler: ("sample",),
    base.ExactModel: ("compress", "inpaint"),
    base.Multiscale: ("upscale",),
    denoisers.Denoiser: ("evaluate", "denoise", "sample", "inpaint"),
}


def describe(names: Sequence[str]) -> Iterator[dict[str, Any] | Failure]:
    """Describes whatever names mean: models, image files, compressed files, folders of them.

    Arguments:
        names: Model folders, bundled names, files, globs and folders.

    Yields:
        For each thing a record of JSON values, with its `kind`: "model", "image" or "compressed";
        a `Failure` for what cannot be read.
    """
    for name in names:
        if is_model(name):
            yield from _attempt(name, describe_model)
            continue
        failures: list[Failure] = []
        for path, _ in find_files([name], (*SUFFIXES, compress.SUFFIX), failures):
            compressed = path.suffix.lower() == compress.SUFFIX
            yield from _attempt(str(path), describe_compressed if compressed else describe_images)
        yield from failures


def is_model(name: str | Path) -> bool:
    """Whether a name means a model rather than images: a model folder or a bundled name."""
    folder = Path(name)
    files = (checkpoint.CONFIG, checkpoint.WEIGHTS)
    is_bundled = not folder.exists() and str(name) in checkpoint.bundled()
    return is_bundled or any((folder / file).is_file() for file in files)


def describe_model(name: str) -> Iterator[dict[str, Any]]:
    """What a model is, what it can do, how it was trained and its figures.

    The model is loaded, so that its checksums are verified.

    Raises:
        ValueError: As `checkpoint.load`.
    """
    model = checkpoint.load(name)
    record = checkpoint.read(checkpoint.find(name))
    abilities = [kind for kind in ABILITIES if isinstance(model, kind)]
    yield {
        "kind": "model",
        "path": name,
        "model": record["model"],
        "likelihood": getattr(model, "likelihood", None),
        "channels": model.channels,
        "bits": model.bits,
        "abilities": [kind.__name__ for kind in abilities],
        "commands": [command for kind in abilities for command in ABILITIES[kind]],
        "receptive_field": getattr(model, "receptive_field", None),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "config": record["config"],
        "provenance": record["provenance"],
        "digest": record["digest"],
    }


def describe_images(path: str) -> Iterator[dict[str, Any]]:
    """Shape, bits and metadata of each picture in a file.

    Raises:
        ImageError: If the file cannot be read.
    """
    for page, image in enumerate(read_pages(path)):
        yield _describe_image(image, path, page)


def _describe_image(image: Image, path: str, page: int) -> dict[str, Any]:
    lowest, highest = (int(value) for value in image.pixels.aminmax())
    return {
        "kind": "image",
        "path": path,
        "page": page,
        "shape": list(image.pixels.shape),
        "bits": image.bits,
        "alpha": image.alpha,
        "lowest": lowest,
        "highest": highest,
        "resolution": image.metadata.resolution and list(image.metadata.resolution),
        "icc_bytes": len(image.metadata.icc or b""),
        "exif_bytes": len(image.metadata.exif or b""),
    }


def describe_compressed(path: str) -> Iterator[dict[str, Any]]:
    """What a compressed file holds and which model it was made with.

    Raises:
        ValueError: If it is damaged or of a newer format.
    """
    data = Path(path).read_bytes()
    container = Container.from_bytes(data)
    values = container.shape[0] * container.shape[1] * container.shape[2]
    yield {
        "kind": "compressed",
        "path": path,
        "shape": list(container.shape),
        "bits": container.bits,
        "bytes": len(data),
        "bits_per_dim": 8 * len(data) / values,
        "model_digest": container.digest,
    }


def _attempt(name: str, work: Any) -> Iterator[dict[str, Any] | Failure]:
    try:
        yield from work(name)
    except (ValueError, OSError) as error:
        yield Failure(name, str(error))
