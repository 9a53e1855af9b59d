"""Noise that fills the grey levels evenly and never leaves them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from imprior.data.batches import Draws, ImageFiles, Patches
from imprior.data.dequantization import Dequantized
from imprior.data.images import Image, write


def patches(bits: int, length: int = 5) -> Patches:
    return Patches([torch.randint(2**bits, (3, 40, 40))], 12, length=length, seed=3)


@pytest.mark.parametrize("bits", [1, 8, 16])
def test_levels_are_recovered_exactly(bits: int) -> None:
    images = patches(bits)
    images.images[0][:, ::2] = 2**bits - 1  # where rounding would leave the level
    noisy = Dequantized(images, bits)
    assert len(noisy) == len(images) and isinstance(noisy, Draws)
    for number in (0, 4, 1000):
        x = noisy[number]
        assert x.dtype == torch.float32 and x.min() > 0 and x.max() < 1
        assert torch.equal((x * 2**bits).floor().long(), images[number])


def test_noise_is_uniform() -> None:
    images = patches(8)
    noisy = Dequantized(images, 8)
    noise = torch.cat([(noisy[n] * 256 - images[n]).flatten() for n in range(100)]).double()
    counts = noise.histc(20, 0, 1)
    expected = len(noise) / 20
    assert ((counts - expected).square() / expected).sum() < 19 + 4 * 38**0.5
    assert abs(noise.mean() - 0.5) < 4 / (12 * len(noise)) ** 0.5


def test_noise_depends_on_seed_and_number_alone() -> None:
    noisy, other = (Dequantized(patches(8), 8, seed=seed) for seed in (3, 4))
    assert torch.equal(noisy[7], noisy[7])
    assert not torch.equal(noisy[7], other[7])
    same = Dequantized(Patches([torch.zeros(1, 9, 9).long()], 9, length=2), 8)
    assert not torch.equal(same[0], same[1])


def test_files_get_new_noise_in_every_epoch(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.png" for n in range(2)]
    for n, path in enumerate(paths):
        write(path, Image(torch.full((1, 3, 3), n), 8))
    files = ImageFiles(paths, channels=1, bits=8)
    noisy = Dequantized(files, 8)
    assert len(noisy) == 2
    assert torch.equal((noisy[3] * 256).floor().long(), files[1])
    assert not torch.equal(noisy[1], noisy[3])


@pytest.mark.parametrize("bits", [0, 17])
def test_depth_has_limits(bits: int) -> None:
    with pytest.raises(ValueError, match=f"bits must be 1 to 16, got {bits}"):
        Dequantized(patches(8), bits)
