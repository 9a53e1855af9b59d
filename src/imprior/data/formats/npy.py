"""NumPy's .npy: (H, W) or (H, W, C), bool, uint8 or uint16. It keeps values and nothing else."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.lib import format as numpy_format

from imprior.data.formats.raster import ImageError, Metadata, Raster, check_size

_BITS = {np.dtype(np.bool_): 1, np.dtype(np.uint8): 8, np.dtype(np.uint16): 16}


def decode(path: Path) -> Raster:
    """Reads an array, memory-mapped until it is copied; objects are never unpickled."""
    array = numpy_format.open_memmap(path, mode="r")
    bits = _BITS.get(array.dtype.newbyteorder("="))
    if bits is None:
        nan = " (some of them NaN)" if array.dtype.kind in "fc" and np.isnan(array).any() else ""
        raise ImageError(
            f"holds {array.dtype} values{nan}; images are bool, uint8 or uint16: convert it"
        )
    if array.ndim not in (2, 3):
        raise ImageError(f"has shape {array.shape}; images are (H, W) or (H, W, C)")
    samples = array.reshape(*array.shape[:2], -1)
    height, width, channels = samples.shape
    check_size(width, height, channels)
    samples = samples.view(np.uint8) if bits == 1 else samples
    return Raster(samples, bits, alpha=False, metadata=Metadata())


def encode(raster: Raster) -> bytes:
    """The bytes of an .npy file; alpha becomes a channel like others, metadata is left out.

    Raises:
        ImageError: If the depth is not that of a NumPy type.
    """
    if raster.bits not in _BITS.values():
        raise ImageError(f".npy holds 1, 8 or 16 bits, not {raster.bits}; write TIFF or PNG")
    samples = raster.samples if raster.samples.shape[2] > 1 else raster.samples[..., 0]
    buffer = io.BytesIO()
    numpy_format.write_array(buffer, samples.view(np.bool_) if raster.bits == 1 else samples)
    return buffer.getvalue()
