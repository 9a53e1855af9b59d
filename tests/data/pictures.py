"""Pictures that the tests of this folder share."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import ImageCms

from imprior.data.images import Image, Metadata, write

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def noise(channels: int, height: int, width: int, bits: int = 8) -> torch.Tensor:
    return torch.randint(0, 2**bits, (channels, height, width))


def example(path: Path) -> Image:
    """An RGB picture of 8 bits, which every format holds, written to `path`."""
    image = Image(noise(3, 9, 17), bits=8, metadata=Metadata(SRGB, (300.0, 150.0)))
    write(path, image, lossy=True)
    return image
