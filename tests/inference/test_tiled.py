"""Tiles give the whole image, whatever their size, the model and the borders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from imprior.denoisers import Denoiser
from imprior.inference.tiled import SMALLEST, Tile, denoise, divided
from imprior.models.local.config import NetworkConfig
from tests.models.local.small import flat, local, noise

NARROW = NetworkConfig(depth=3, width=4, receptive_field=5)
MODELS: dict[str, Callable[[], Denoiser]] = {
    "flat": flat,
    "blocks": lambda: flat(blocks=3),
    "local": local,
    "local blocks": lambda: local(low_blocks=2),
    "db2": lambda: local(wavelet="db2", scales=(NARROW, NARROW), low=NARROW),
    "db3": lambda: local(wavelet="db3", scales=(NARROW,), low=NARROW),
}


@torch.no_grad()
def at_once(model: Denoiser, y: Tensor) -> Tensor:
    return model.denoise(y)


def assert_same(tiled: Tensor, whole: Tensor) -> None:
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-12 * float(whole.abs().max()))


class Recorder:
    """Notes the sizes that a model is asked for, and has no memory for those above a limit."""

    def __init__(self, model: Denoiser, most: float = float("inf"), *, error: Any = None) -> None:
        self.sizes: list[tuple[int, int]] = []
        self._denoise, self._most = model.denoise, most
        self._error = error or MemoryError()
        model.denoise = self  # type: ignore[method-assign]

    def __call__(self, y: Tensor) -> Tensor:
        height, width = y.shape[2:]
        self.sizes.append((height, width))
        if height * width > self._most:
            raise self._error
        return self._denoise(y)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("height", "width"), [(150, 131), (64, 171), (97, 98), (1, 40), (7, 5)])
def test_tiles_are_the_whole_image(name: str, height: int, width: int) -> None:
    model, y = MODELS[name](), noise(2, 1, height, width)
    assert_same(denoise(model, y, 37), at_once(model, y))


@pytest.mark.parametrize("wavelet", ["haar", "db2"])
def test_tiles_of_details_are_given_their_part_of_the_coarse_image(wavelet: str) -> None:
    details = local(wavelet=wavelet, channels=2).given(noise(2, 2, 90, 71), 0)
    y = noise(2, 6, 90, 71)
    assert_same(denoise(details, y, 33), at_once(details, y))


@pytest.mark.parametrize("name", ["flat", "local"])
def test_tiles_are_the_whole_image_in_single_precision(name: str) -> None:
    model, y = MODELS[name]().float(), torch.rand(1, 1, 120, 133)
    largest = at_once(model, y).abs().max()
    y /= largest  # the models are homogeneous: their results lie in [-1, 1] now
    assert (denoise(model, y, 32) - at_once(model, y)).abs().max() <= 1e-6


@pytest.mark.parametrize("name", ["flat", "local"])
def test_only_long_wavelets_see_the_opposite_border(name: str) -> None:
    model = MODELS[name]()
    recorder = Recorder(model)
    denoise(model, noise(1, 1, 200, 200), 104)
    side = 104 + model.halo + model.alignment
    assert len(recorder.sizes) == 4 and max(recorder.sizes)[0] <= side < 200
    around = Recorder(periodic := MODELS["db2"]())
    denoise(periodic, noise(1, 1, 200, 200), 104)
    assert max(around.sizes)[0] >= 104 + 2 * periodic.halo


@pytest.mark.parametrize("name", MODELS)
def test_half_the_halo_is_not_enough(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the tests above can fail."""
    model, y = MODELS[name](), noise(1, 1, 97, 98)
    whole = at_once(model, y)
    monkeypatch.setattr(type(model), "halo", model.halo // 2)
    assert (denoise(model, y, 32) - whole).abs().max() > 1e-6


def test_image_of_one_tile_is_given_to_the_model_as_it_is() -> None:
    model, y = local(), noise(1, 1, 33, 30)
    whole, recorder = at_once(model, y), Recorder(model)
    assert torch.equal(denoise(model, y), whole) and recorder.sizes == [(33, 30)]


@pytest.mark.parametrize("error", [
    MemoryError(), torch.OutOfMemoryError("CUDA"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
])  # fmt: skip
def test_smaller_tiles_where_memory_runs_out(error: Exception) -> None:
    model, y = flat(), noise(1, 1, 150, 131)
    whole, recorder = at_once(model, y), Recorder(model, most=3000, error=error)
    shares: list[float] = []
    assert_same(denoise(model, y, 100, shares.append), whole)
    assert sum(h * w > 3000 for h, w in recorder.sizes) == 1, "what failed is not tried again"
    assert shares == sorted(shares) and shares[-1] == 1


def test_no_memory_at_all_is_one_line() -> None:
    model = flat()
    recorder = Recorder(model, most=0)
    with pytest.raises(MemoryError, match="not enough memory to denoise tiles of"):
        denoise(model, noise(1, 1, 90, 90))
    assert max(recorder.sizes[-1]) <= 2 * SMALLEST


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    model = flat()
    recorder = Recorder(model, most=0, error=RuntimeError("size mismatch"))
    with pytest.raises(RuntimeError, match="size mismatch"):
        denoise(model, noise(1, 1, 90, 90))
    assert len(recorder.sizes) == 1


@pytest.mark.parametrize("alignment", [1, 4])
@pytest.mark.parametrize("length", [1, 3, 16, 17, 18, 31, 32, 33, 50, 69])
def test_pieces_are_whole_aligned_and_about_equal(length: int, alignment: int) -> None:
    limit = 16
    for tall in (True, False):
        part = Tile(8, 8 + length, 0, 1) if tall else Tile(0, 1, 8, 8 + length)
        pieces = [piece[:2] if tall else piece[2:] for piece in divided(part, limit, alignment)]
        assert [a for a, _ in pieces[1:]] == [b for _, b in pieces[:-1]]
        assert pieces[0][0] == 8 and pieces[-1][1] == 8 + length
        assert all(start % alignment == 0 and 0 < stop - start <= limit for start, stop in pieces)
        assert len(pieces) == -(-length // limit)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"tile": 0}, "at least 1 pixel, got 0"),
        ({"y": torch.zeros(1, 3, 8, 8)}, r"takes images of shape \(B, 1, H, W\)"),
        ({"y": torch.full((1, 1, 8, 8), torch.nan)}, "NaN or infinity"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        denoise(flat(), **{"y": noise(1, 1, 8, 8), **options})
