"""What a file or a model is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imprior import base, checkpoint
from imprior.data.images import Image, read_pages

# Ability -> the command that it makes possible.
ABILITIES = {
    base.LikelihoodModel: "evaluate",
    base.Sampler: "sample",
    base.ExactModel: "compress",
}


def is_model(name: str | Path) -> bool:
    """Whether a name means a model rather than images: a model folder or a bundled name."""
    folder = Path(name)
    return (folder / checkpoint.CONFIG).is_file() or (
        not folder.exists() and str(name) in checkpoint.bundled()
    )


def describe_images(path: Path) -> list[dict[str, Any]]:
    """Shape, bits and metadata of each picture in a file, as JSON values.

    Raises:
        ImageError: If the file cannot be read.
    """
    return [_describe(image, str(path), page) for page, image in enumerate(read_pages(path))]


def _describe(image: Image, path: str, page: int) -> dict[str, Any]:
    metadata = image.metadata
    return {
        "path": path,
        "page": page,
        "shape": list(image.pixels.shape),
        "bits": image.bits,
        "alpha": image.alpha,
        "lowest": int(image.pixels.min()),
        "highest": int(image.pixels.max()),
        "resolution": metadata.resolution and list(metadata.resolution),
        "icc_bytes": len(metadata.icc or b""),
        "exif_bytes": len(metadata.exif or b""),
    }


def describe_model(name: str | Path) -> dict[str, Any]:
    """What a model is, what it can do, how it was trained and its figures, as JSON values.

    The model is loaded, so that its checksums are verified.

    Raises:
        ValueError: As `checkpoint.load`.
    """
    model = checkpoint.load(name)
    record = checkpoint.read(checkpoint.find(name))
    abilities = [kind for kind in ABILITIES if isinstance(model, kind)]
    return {
        "name": str(name),
        "model": record["model"],
        "likelihood": getattr(model, "likelihood", None),
        "channels": model.channels,
        "bits": model.bits,
        "abilities": [kind.__name__ for kind in abilities],
        "commands": [ABILITIES[kind] for kind in abilities],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "config": record["config"],
        "provenance": record["provenance"],
        "digest": record["digest"],
    }
