"""Images through bytes and back, bit for bit, at their information."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from imprior import checkpoint
from imprior.codec import compress, decompress, images
from imprior.codec.container import Container
from tests.toys import Toy, ToyConfig


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def toy(channels: int = 1, bits: int = 8) -> Toy:
    return Toy(ToyConfig(channels=channels, bits=bits))


def noise(model: Toy, height: int, width: int) -> Tensor:
    size = (1, model.channels, height, width)
    return torch.randint(1 << model.config.bits, size, generator=seeded())


def check_round_trip(model: Toy, x: Tensor, max_band: int = images.MAX_BAND) -> None:
    """The same integers come back, and the file is as long as the information in them."""
    data = compress(model, x, max_band=max_band)
    restored = decompress(model, data)
    assert restored.dtype == torch.int64 and torch.equal(restored, x)
    information = -model.log_prob(x).item() / math.log(2) / 8
    assert abs(len(data) - information) <= 0.005 * information + 100


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("bits", range(1, 17))
def test_every_depth_and_number_of_channels(channels: int, bits: int) -> None:
    model = toy(channels, bits)
    check_round_trip(model, model.sample((1, 13, 11), generator=seeded()))
    check_round_trip(model, noise(model, 4, 6))


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (300, 400)])
def test_every_size(size: tuple[int, int]) -> None:
    model = toy(3)
    check_round_trip(model, model.sample((1, *size), generator=seeded()))


@pytest.mark.parametrize("bits", [1, 8, 16])
def test_black_white_and_noise(bits: int) -> None:
    model = toy(2, bits)
    for x in (torch.zeros(1, 2, 30, 40).long(), torch.full((1, 2, 30, 40), 2**bits - 1)):
        check_round_trip(model, x)
    check_round_trip(model, noise(model, 60, 70))


def test_an_image_does_not_change_when_it_is_compressed() -> None:
    model = toy()
    x = noise(model, 5, 6)
    before = x.clone()
    compress(model, x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("max_band", [1, 100, 210, 300, 419, 420, 10**6])
def test_bands_are_images_of_their_own(max_band: int) -> None:
    model = toy(3)
    x = model.sample((1, 20, 7), generator=seeded())
    file = Container.from_bytes(compress(model, x, max_band=max_band))
    assert file.band_height * 21 <= max(max_band, 21)
    bands = x.split(file.band_height, dim=2)
    assert len(bands) == len(file.bands) == math.ceil(20 / max(1, max_band // 21))
    for band, code in zip(bands, file.bands, strict=True):
        assert Container.from_bytes(compress(model, band)).bands == (code,)
    assert torch.equal(images.restore(model, file), x)


def test_bytes_do_not_depend_on_the_number_of_threads() -> None:
    model = toy(3)
    x = model.sample((1, 40, 50), generator=seeded())
    before = torch.get_num_threads()
    data = compress(model, x)
    try:
        torch.set_num_threads(before + 1)
        assert compress(model, x) == data
    finally:
        torch.set_num_threads(before)


def test_bytes_do_not_change() -> None:
    """Another machine, another version: the files must stay readable."""
    model = toy(2, 5)
    x = (torch.arange(2 * 4 * 6).view(1, 2, 4, 6) * 7) % 32
    data = compress(model, x, metadata=b"note", digest="0123456789abcdef" * 4)
    golden = (
        "89494d5001cab66c220502000400000006000000040000000123456789abcdef0123456789abcdef"
        "52901625841035140004000000300000006e6f7465002736403cf1204d436c54776c3331a071fc52"
        "0862b2444b4bb26d8a6827f306b097151679aa187f66482fb245a896a4"
    )
    assert data.hex() == golden


def test_a_file_of_another_model_is_refused() -> None:
    x = noise(toy(), 3, 3)
    data = compress(toy(), x)
    with torch.no_grad():
        other = toy()
        other.scales.mul_(1.5)
    with pytest.raises(ValueError, match=r"compressed with the model [0-9a-f]{12}\.\.\., not"):
        decompress(other, data)
    for different in (toy(channels=2), toy(bits=9)):
        with pytest.raises(ValueError, match="compressed with the model"):
            decompress(different, data)
        with pytest.raises(ValueError, match="other channels or bits"):
            decompress(different, data, digest=checkpoint.digest(toy()))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (30, 40)])
def test_a_machine_with_other_floats_does_not_return_another_image(size: tuple[int, int]) -> None:
    """The digest fits, the probabilities do not."""
    model, other = toy(), toy()
    with torch.no_grad():
        other.scales.mul_(1.5)
    data = compress(model, noise(model, *size))
    with pytest.raises(ValueError, match=r"another image|damaged|cut off|go on after"):
        decompress(other, data, digest=checkpoint.digest(model))


@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(1, 3, 4).long(),
        torch.zeros(2, 1, 3, 4).long(),
        torch.zeros(1, 1, 3, 4),
        torch.zeros(1, 1, 0, 4).long(),
    ],
)
def test_what_is_no_image_is_refused(x: Tensor) -> None:
    with pytest.raises(ValueError, match="takes one image"):
        compress(toy(), x)


def test_values_beyond_the_models_are_refused() -> None:
    with pytest.raises(ValueError, match="takes 8-bit values 0 to 255, got values 0 to 256"):
        compress(toy(), torch.tensor([[[[0, 256]]]]))


@pytest.mark.parametrize("bits", [1, 8, 9, 16])
def test_samples_are_the_inverse_of_values(bits: int) -> None:
    x = torch.randint(1 << bits, (3, 4, 5), generator=seeded())
    samples = images.to_samples(x, bits)
    assert len(samples) == 60 * (1 if bits <= 8 else 2)
    assert torch.equal(images.from_samples(samples, bits, (3, 4, 5)), x)
    with pytest.raises(ValueError, match="not"):
        images.from_samples(samples[:-2], bits, (3, 4, 5))


def test_samples_beyond_their_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="not 3-bit values"):
        images.from_samples(b"\x08", 3, (1,))
