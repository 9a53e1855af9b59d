"""Images to compressed files and back, with any exact model.

The encoder walks over the image as the sampler does, but writes down what it knows; the decoder
walks the same way and reads. Both must see the same floats, so both start from an empty canvas.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from imprior import checkpoint
from imprior.base import ExactModel
from imprior.codec.coder import Decoder, Encoder
from imprior.codec.container import DIGEST_DIGITS, Container

# Larger images are coded in bands of about this many values, as images of their own, each within
# the memory that the walk of one band takes: 128 MiB for its canvas, and what the model adds.
MAX_BAND = 1 << 24


def compress(
    model: ExactModel,
    x: Tensor,
    *,
    metadata: bytes = b"",
    digest: str | None = None,
    max_band: int = MAX_BAND,
) -> bytes:
    """Compresses an image without loss.

    Arguments:
        model: Any model that can be walked.
        x: An image that it takes, int64 (1, C, H, W).
        metadata: What else to keep; see `imprior.codec.metadata`.
        digest: `checkpoint.digest(model)`, for callers who have it already.
        max_band: Values that are coded as one; more rows than fit are coded in several bands.

    Returns:
        A file of `imprior.codec.container`, about -log2 p(x) / 8 + 57 bytes.

    Raises:
        ValueError: If the model cannot take the image.
    """
    _check(model, x)
    height = _band_height(x, max_band)
    container = Container(
        shape=(x.shape[1], x.shape[2], x.shape[3]),
        bits=model.bits or 0,
        band_height=height,
        digest=checkpoint.digest(model) if digest is None else digest,
        checksum=_checksum(x, model.bits or 0),
        metadata=metadata,
        bands=tuple(_encode(model, band) for band in x.split(height, dim=2)),
    )
    return container.to_bytes()


def decompress(model: ExactModel, data: bytes, *, digest: str | None = None) -> Tensor:
    """Restores the image that `compress` was given.

    Arguments:
        model: The model that it was compressed with.
        data: The file.
        digest: `checkpoint.digest(model)`, for callers who have it already.

    Returns:
        int64 (1, C, H, W).

    Raises:
        ValueError: If the file is damaged, or was written with another model or a newer imprior.
    """
    return restore(model, Container.from_bytes(data), digest=digest)


def restore(model: ExactModel, container: Container, *, digest: str | None = None) -> Tensor:
    """Restores the image from a file that has been taken apart; see `decompress`."""
    digest = checkpoint.digest(model) if digest is None else digest
    if container.digest != digest[:DIGEST_DIGITS]:
        raise ValueError(
            f"the file was compressed with the model {container.digest[:12]}..., "
            f"not with this {type(model).__name__}, {digest[:12]}..."
        )
    if (container.shape[0], container.bits) != (model.channels, model.bits):
        raise ValueError("the compressed file is damaged: its model has other channels or bits")
    x = torch.empty(1, *container.shape, dtype=torch.int64)
    bands = x.split(container.band_height, dim=2)
    for band, data in zip(bands, container.bands, strict=True):
        band.copy_(_decode(model, data, band.shape))
    if _checksum(x, container.bits) != container.checksum:
        raise ValueError(
            "the compressed file leads to another image than it was made from: it is damaged, or "
            "this machine computes the model's probabilities differently"
        )
    return x


def to_samples(x: Tensor, bits: int) -> bytes:
    """Values in memory order, 1 byte each up to 8 bits, else 2, little-endian."""
    return x.cpu().numpy().astype("<u1" if bits <= 8 else "<u2").tobytes()


def from_samples(samples: bytes, bits: int, shape: tuple[int, ...]) -> Tensor:
    """The inverse of `to_samples`; int64.

    Raises:
        ValueError: If there are more samples, or fewer, or with more bits.
    """
    values = np.frombuffer(samples, "<u1" if bits <= 8 else "<u2").astype(np.int64)
    if values.size != np.prod(shape) or values.max(initial=0) >= 1 << bits:
        raise ValueError(f"the samples are not {bits}-bit values of shape {shape}")
    return torch.from_numpy(values).view(shape)


def _check(model: ExactModel, x: Tensor) -> None:
    if x.dim() != 4 or len(x) != 1 or not x.numel() or x.dtype != torch.int64:
        raise ValueError(
            f"compress takes one image, int64 (1, C, H, W), got {x.dtype}, {tuple(x.shape)}"
        )
    if model.bits is None:
        raise ValueError(f"compress needs a model of integers; {type(model).__name__} has no bits")
    model.check(x)


def _band_height(x: Tensor, max_band: int) -> int:
    """Rows of a band, so that bands are as few as possible and of nearly one height."""
    height, row = x.shape[2], x[0, :, 0].numel()
    count = -(-height // max(1, max_band // row))
    return -(-height // count)


def _checksum(x: Tensor, bits: int) -> bytes:
    summary = hashlib.blake2b(digest_size=8)
    for part in _rows(x):
        summary.update(to_samples(part, bits))
    return summary.digest()


def _rows(x: Tensor) -> Iterator[Tensor]:
    """Parts of an image, in memory order, that are small beside it."""
    for channel in x[0]:
        yield from channel.split(256)


@torch.no_grad()
def _encode(model: ExactModel, band: Tensor) -> bytes:
    truth = model.to_canvas(band).view(-1)
    canvas = torch.zeros(band.shape, dtype=torch.int64)
    encoder = Encoder()
    for step in model.conditionals(canvas):
        values = truth[step.where]
        encoder.put(step.pmfs, values)
        canvas.view(-1)[step.where] = values
    return encoder.finish()


@torch.no_grad()
def _decode(model: ExactModel, data: bytes, shape: torch.Size) -> Tensor:
    canvas = torch.zeros(shape, dtype=torch.int64)
    decoder = Decoder(data)
    for step in model.conditionals(canvas):
        canvas.view(-1)[step.where] = decoder.get(step.pmfs)
    decoder.finish()
    return model.from_canvas(canvas)
