"""The yardstick is honest: every codec gives back the very pixels it was measured on."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
import torch

from imprior.tasks import codecs

DECODERS = {
    "png": imagecodecs.png_decode,
    "webp": imagecodecs.webp_decode,
    "jpegls": imagecodecs.jpegls_decode,
    "jpeg2000": imagecodecs.jpeg2k_decode,
    "jxl": imagecodecs.jpegxl_decode,
    "jxl9": imagecodecs.jpegxl_decode,
}


@pytest.mark.parametrize("name", codecs.CODECS)
@pytest.mark.parametrize("bits", [1, 8, 12, 16])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 20, 30), (2, 9, 8), (3, 20, 30), (4, 9, 8)])
def test_codec_is_lossless_or_says_that_it_cannot(
    name: str, bits: int, shape: tuple[int, int, int]
) -> None:
    x = torch.randint(0, 2**bits, shape)
    x[3:, :4] = 0  # transparent pixels keep their colours
    file = codecs.encode(name, x, bits)
    if shape[0] not in codecs.CODECS[name].channels or bits > codecs.CODECS[name].max_bits:
        assert file is None
        return
    assert file is not None
    pixels = DECODERS[name](file).reshape(*shape[1:], -1)
    if name == "webp" and shape[0] == 1:
        assert (pixels == pixels[..., :1]).all()
        pixels = pixels[..., :1]
    assert np.array_equal(np.moveaxis(pixels, -1, 0), x.numpy())


@pytest.mark.parametrize("name", codecs.CODECS)
@pytest.mark.parametrize("shape", [(1, 3, 20000), (1, 20000, 3)])
@pytest.mark.parametrize("bits", [8, 16])
def test_long_thin_noise(name: str, shape: tuple[int, int, int], bits: int) -> None:
    x = torch.randint(0, 2**bits, shape)
    file = codecs.encode(name, x, bits)
    assert (file is None) == (name == "webp")
    assert file is None or len(file) > 0.98 * x.numel() * bits / 8


def test_bits_per_dim_leaves_out_who_cannot() -> None:
    x = torch.randint(0, 256, (5, 16, 16))
    assert codecs.bits_per_dim(list(codecs.CODECS), x, 8) == {}
    grey = codecs.bits_per_dim(["png", "webp"], x[:1], 8)
    assert list(grey) == ["png", "webp"]
    assert grey["png"] > 8  # noise, and the header


def test_unknown_codec_is_named() -> None:
    assert codecs.choose(["png", "jxl", "png"]) == ("png", "jxl")
    with pytest.raises(ValueError, match="unknown codec gif, mp3: choose from png"):
        codecs.choose(["gif", "png", "mp3"])
