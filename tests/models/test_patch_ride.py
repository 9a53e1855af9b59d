"""Patch RIDE: a density of d = x - mean, which sees where patches end; any pixel may be dropped."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from imprior import checkpoint
from imprior.inference.symmetry import Ensemble
from imprior.models import build
from imprior.models.ride.config import RIDEConfig
from imprior.models.ride.model import RIDE
from imprior.models.ride.patches import PatchRIDE, PatchRIDEConfig
from imprior.provenance import PROVENANCE
from tests.models.mcgsms import assert_close
from tests.models.rides import CONFIG
from tests.reference import slstm

SMALL = replace(CONFIG, num_layers=2, rows=1, columns=1)


def toy(height: int, width: int, *, remove_dc: bool = True, **fields: Any) -> PatchRIDE:
    """A model in double precision, none of whose parameters is without effect."""
    generator = torch.Generator().manual_seed(2)
    model = PatchRIDE(PatchRIDEConfig(replace(SMALL, **fields), height, width, remove_dc)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
        whitening = model.ride.whitening[0]
        for part in (whitening.mean_x, whitening.predictor, whitening.whitener):
            part.add_(torch.randn(part.shape, generator=generator), alpha=0.2)
        whitening.mean_y.fill_(0.3)
        whitening.scale.fill_(1.2)
    return model


def grid(dims: int, points: int) -> tuple[Tensor, float]:
    """All points of a lattice, (points^dims, dims), and the volume of a cell."""
    axis = torch.linspace(-8, 8, points, dtype=torch.float64)
    return torch.cartesian_prod(*[axis] * dims).view(-1, dims), (axis[1] - axis[0]).item() ** dims


def completed(d: Tensor, height: int, width: int) -> Tensor:
    """Patches of which all pixels but the last are given: it makes their sum 0."""
    return torch.cat([d, -d.sum(1, keepdim=True)], 1).view(-1, 1, height, width)


# -- it is a density


@pytest.mark.parametrize("fields", [{}, {"direct": True}, {"extended": True, "num_layers": 1}])
@pytest.mark.parametrize(("height", "width"), [(2, 1), (1, 2), (1, 3)])
def test_density_without_dc_integrates_to_one(
    height: int, width: int, fields: dict[str, Any]
) -> None:
    model = toy(height, width, **fields)
    d, volume = grid(height * width - 1, 81)
    with torch.no_grad():
        total = model.log_prob(completed(d, height, width)).exp().sum() * volume
    assert abs(total.item() - 1) < 1e-4


def test_density_of_all_pixels_integrates_to_one() -> None:
    x, volume = grid(2, 81)
    model = toy(2, 1, remove_dc=False)
    with torch.no_grad():
        total = model.log_prob(x.view(-1, 1, 2, 1)).exp().sum() * volume
    assert abs(total.item() - 1) < 1e-4


def test_mean_of_the_densities_of_all_views_integrates_to_one() -> None:
    """Their last pixels, which are not scored, are four different ones."""
    model = toy(2, 2, num_layers=1)
    d, volume = grid(3, 33)
    with torch.no_grad():
        total = Ensemble(model).log_prob(completed(d, 2, 2)).exp().sum() * volume
    assert abs(total.item() - 1) < 1e-4


def test_dropping_another_pixel_has_determinant_one() -> None:
    d = torch.randn(8).double()
    for dropped in range(9):
        kept = [n for n in range(9) if n != dropped]
        # Row n: what the n-th of all nine is made of.
        rows = torch.cat([torch.eye(8), -torch.ones(1, 8)]).double()
        assert_close(rows[kept] @ d, completed(d[None], 3, 3).flatten()[kept])
        assert_close(rows[kept].det().abs(), torch.ones(()).double())


# -- what it is made of


def test_log_prob_is_that_of_the_formula() -> None:
    """By the double loop over cells, with neighbourhoods gathered one by one."""
    model, x = toy(3, 4), torch.randn(5, 1, 3, 4).double()
    d = x - x.mean((2, 3), keepdim=True)
    offsets = [(-1, -1), (-1, 0), (-1, 1), (0, -1)]
    whitening = model.ride.whitening[0]
    seen = torch.zeros(5, 3, 4, 8).double()
    for y in range(3):
        for column in range(4):
            for n, (dy, dx) in enumerate(offsets):
                if y + dy >= 0 and 0 <= column + dx < 4:
                    seen[:, y, column, n] = d[:, 0, y + dy, column + dx]
                else:
                    seen[:, y, column, 4 + n] = 1
    inputs = (seen - whitening.mean_x) @ whitening.whitener.T
    targets = (d[:, 0] - whitening.mean_y - inputs @ whitening.predictor) * whitening.scale
    h = inputs
    for layer in model.ride.layers:
        h = slstm.outputs(h, layer.weight, layer.bias)
    mixture = model.ride.experts[0]
    values = mixture.log_prob(h.flatten(0, 2), targets.flatten()).view(5, 12)[:, :-1]
    expected = values.sum(1) + 11 * whitening.scale.log()
    assert_close(model.log_prob(x), expected)
    with torch.no_grad():
        assert_close(model.log_prob(x), expected)


def test_total_is_the_sum_and_has_its_gradients() -> None:
    model, x = toy(3, 3), torch.randn(4, 1, 3, 3).double()
    totals = model.log_prob(x).sum(), model.total_log_prob(x)
    assert_close(*totals)
    trained = [p for p in model.parameters() if p.requires_grad]
    first, second = (torch.autograd.grad(total, trained) for total in totals)
    for one, other in zip(first, second, strict=True):
        assert_close(one, other)
        assert one.any() or not one.numel()


def test_gradients_are_those_of_differences() -> None:
    model, x = toy(2, 3), torch.randn(2, 1, 2, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(model.log_prob, (x,))


def test_the_mean_of_a_patch_does_not_matter_once_it_is_removed() -> None:
    x = torch.randn(3, 1, 3, 3).double()
    with torch.no_grad():
        model = toy(3, 3)
        assert_close(model.log_prob(x), model.log_prob(x + 0.7))
        model = toy(3, 3, remove_dc=False)
        assert (model.log_prob(x) - model.log_prob(x + 0.7)).abs().min() > 1e-3


def test_patch_does_not_see_the_rest_of_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = toy(4, 4), torch.randn(5, 1, 4, 4).double()
    with torch.no_grad():
        whole = model.log_prob(x)
        assert_close(torch.cat([model.log_prob(one[None]) for one in x]), whole)
        monkeypatch.setattr("imprior.models.ride.model.CELLS_AT_ONCE", 1)
        assert_close(model.log_prob(x), whole)
        assert model.log_prob(x[:0]).shape == (0,)


def test_bits_per_dim_count_what_is_scored() -> None:
    x = torch.randn(2, 1, 2, 2).double()
    for remove_dc, dims in ((True, 3), (False, 4)):
        model = toy(2, 2, remove_dc=remove_dc)
        assert_close(model.bits_per_dim(x) * dims, -model.log_prob(x) / math.log(2))


# -- samples


def test_samples_are_distributed_as_the_density_says() -> None:
    model = toy(2, 1)
    x = model.sample((4000, 2, 1), generator=torch.Generator().manual_seed(3))
    assert x.shape == (4000, 1, 2, 1)
    assert_close(x.sum((1, 2, 3)), torch.zeros(4000).double())
    d, step = grid(1, 2001)
    with torch.no_grad():
        density = model.log_prob(completed(d, 2, 1)).exp()
    below = (density.cumsum(0) - density / 2) * step
    ranks = below[torch.searchsorted(d[:, 0].contiguous(), x[:, 0, 0, 0].contiguous())]
    assert kstest(ranks.numpy(), "uniform").pvalue > 1e-3


def test_samples_of_later_pixels_depend_on_earlier_ones_as_the_density_says() -> None:
    model = toy(1, 2, remove_dc=False)
    x = model.sample((20_000, 1, 2), generator=torch.Generator().manual_seed(4)).flatten(1)
    points, volume = grid(2, 81)
    with torch.no_grad():
        weights = model.log_prob(points.view(-1, 1, 1, 2)).exp() * volume
    for moment in (lambda t: t[:, 0] * t[:, 1], lambda t: t[:, 1], lambda t: t[:, 1].square()):
        drawn, expected = moment(x), (moment(points) * weights).sum()
        error = (drawn.mean() - expected).abs() / (drawn.std() / len(x) ** 0.5)
        assert error < 4


def test_sample_depends_on_the_generator_alone() -> None:
    model = toy(3, 3)
    one, same, other = (
        model.sample((2, 3, 3), generator=torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)
    )
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert model.sample((0, 3, 3), generator=torch.Generator()).shape == (0, 1, 3, 3)


# -- files and mistakes


def test_saved_model_is_the_same_model(tmp_path: Path) -> None:
    model, x = toy(3, 2), torch.randn(2, 1, 3, 2).double()
    checkpoint.save(model, tmp_path, dict.fromkeys(PROVENANCE))
    loaded = checkpoint.load(tmp_path)
    assert isinstance(loaded, PatchRIDE) and loaded.config == model.config
    with torch.no_grad():
        assert torch.equal(loaded.log_prob(x), model.log_prob(x))
    assert isinstance(build(model.config), PatchRIDE)


def test_says_what_is_wrong() -> None:
    model = toy(2, 3)
    with pytest.raises(ValueError, match=r"\(B, 1, 2, 3\), got \(4, 1, 3, 2\)"):
        model.log_prob(torch.zeros(4, 1, 3, 2))
    with pytest.raises(ValueError, match=r"floating-point values, got torch\.int64"):
        model.log_prob(torch.zeros(4, 1, 2, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match="asked for 3 x 2"):
        model.sample((1, 3, 2), generator=torch.Generator())
    with pytest.raises(ValueError, match="is of 1 channel, got 3"):
        PatchRIDEConfig(RIDEConfig(channels=3))
    with pytest.raises(ValueError, match="width must be at least 1, got 0"):
        PatchRIDEConfig(width=0)
    with pytest.raises(ValueError, match="nothing left to score"):
        PatchRIDEConfig(height=1, width=1)


def test_ride_with_inputs_is_no_model_by_itself() -> None:
    model = RIDE(SMALL, inputs=2)
    x = torch.zeros(1, 1, 3, 3, dtype=torch.int64)
    for ask in (
        lambda: model.log_prob(x),
        lambda: model.log_density_map(x.float()),
        lambda: model.sample((1, 3, 3), generator=torch.Generator()),
        lambda: next(model.conditionals(x)),
    ):
        with pytest.raises(ValueError, match="sees 2 planes besides its 1 channels"):
            ask()
