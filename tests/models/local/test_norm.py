"""Normalization by hand is the one that autograd would do, in every precision and layout."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from imprior.models.local.norm import EPSILON, BiasFreeNorm, _Normalize
from tests.models.local.small import assert_close, noise, randomized

SHAPES = [(4, 3, 5, 6), (1, 2, 7, 3), (3, 1, 1, 2), (2, 3, 1, 1)]
LAYOUTS = [torch.contiguous_format, torch.channels_last]


def images(*shape: int, layout: torch.memory_format = torch.contiguous_format) -> Tensor:
    """Far from centred, and of another deviation in each channel."""
    scale = torch.arange(1, shape[1] + 1, dtype=torch.float64)[:, None, None]
    return (noise(*shape) * scale + 2).contiguous(memory_format=layout)


def plain(x: Tensor, gain: Tensor) -> Tensor:
    """As the formula says."""
    sd = (x.var((0, 2, 3), correction=0) + EPSILON).sqrt()
    return x / sd[:, None, None] * gain[:, None, None]


def by_hand(x: Tensor, gain: Tensor) -> Tensor:
    return _Normalize.apply(x, gain)[0]


def gradients(result: Tensor, weights: Tensor, *by: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(result, by, weights)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_is_that_of_the_differences(
    shape: tuple[int, ...], layout: torch.memory_format
) -> None:
    x, gain = images(*shape, layout=layout).requires_grad_(), noise(shape[1]).requires_grad_()
    assert torch.autograd.gradcheck(by_hand, (x, gain))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_those_of_autograd(
    shape: tuple[int, ...], layout: torch.memory_format
) -> None:
    x, gain = images(*shape, layout=layout).requires_grad_(), noise(shape[1]).requires_grad_()
    result, expected, weights = by_hand(x, gain), plain(x, gain), noise(*shape)
    assert_close(result, expected)
    for found, wanted in zip(
        gradients(result, weights, x, gain), gradients(expected, weights, x, gain), strict=True
    ):
        assert_close(found, wanted)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_lower_precision_is_off_by_its_rounding(
    dtype: torch.dtype, tolerance: float, layout: torch.memory_format
) -> None:
    """Gains stay in single precision, as in training by `torch.autocast`."""
    # Exact in bfloat16, so that rounding of what goes in does not count.
    x, weights = (y.bfloat16().double() for y in (images(8, 3, 16, 16), noise(8, 3, 16, 16)))
    gain = noise(3).float()
    exact = x.clone().requires_grad_(), gain.double().requires_grad_()
    wanted = plain(*exact)
    rounded = x.to(dtype).contiguous(memory_format=layout).requires_grad_()
    single = gain.requires_grad_()
    found = by_hand(rounded, single)
    assert found.dtype == dtype and found.is_contiguous(memory_format=layout)
    pairs = [
        (found, wanted),
        *zip(
            gradients(found, weights.to(dtype), rounded, single),
            gradients(wanted, weights, *exact),
            strict=True,
        ),
    ]
    assert [x.dtype for x, _ in pairs] == [dtype, dtype, torch.float32]
    for actual, expected in pairs:
        assert (actual - expected).norm() <= tolerance * expected.norm()


def test_constant_channels_are_finite() -> None:
    """Their deviation is that of `EPSILON`, and what is zero stays so."""
    x, gain = torch.tensor([0.0, 3.0]).double()[:, None, None].expand(2, 2, 4, 4), noise(2)
    x, gain = x.clone().requires_grad_(), gain.requires_grad_()
    result, expected, weights = by_hand(x, gain), plain(x, gain), noise(2, 2, 4, 4)
    assert_close(result, expected)
    assert not bool(result[:, 0].any())
    for found, wanted in zip(
        gradients(result, weights, x, gain), gradients(expected, weights, x, gain), strict=True
    ):
        torch.testing.assert_close(found, wanted)


def test_deviations_are_told_and_no_way_for_gradients() -> None:
    x = images(4, 3, 5, 6).requires_grad_()
    result, sd = _Normalize.apply(x, noise(3).requires_grad_())
    assert_close(sd, (x.var((0, 2, 3), correction=0) + EPSILON).sqrt())
    assert result.requires_grad and not sd.requires_grad


# -- the module


def test_batch_is_divided_by_its_deviations_and_never_centred() -> None:
    norm, x = randomized(BiasFreeNorm(3)), images(4, 3, 5, 6)
    before, sd = norm.running_sd.clone(), (x.var((0, 2, 3), correction=0) + EPSILON).sqrt()
    assert_close(norm(x), plain(x, norm.gain))
    assert torch.equal(norm.running_sd, before), "nothing is learnt in evaluation"
    norm.train()(x)
    assert_close(norm.running_sd, 0.9 * before + 0.1 * sd)


def test_running_deviations_stay_in_single_precision() -> None:
    norm, x = BiasFreeNorm(3).train(), images(4, 3, 5, 6)
    norm(x.bfloat16())
    assert norm.running_sd.dtype == torch.float32
    expected = (0.9 + 0.1 * (x.var((0, 2, 3), correction=0) + EPSILON).sqrt()).float()
    torch.testing.assert_close(norm.running_sd, expected, rtol=0.01, atol=0)
