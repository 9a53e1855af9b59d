"""The chain draws from p(hole | rest), and nothing but the hole changes."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from imprior.base import ExactModel, LikelihoodModel
from imprior.data.synthetic import Toy as Table
from imprior.data.synthetic import all_images
from imprior.inference.gibbs import FLIPS, Chain, Flip, ancestral, random_walk, start
from imprior.inference.patches import Patches
from imprior.inference.walk import score
from imprior.models.ride.mcgsm import MCGSM, MCGSMConfig
from tests.toys import Toy, ToyConfig

WHOLE = Patches(outer=9, inner=3, stride=3)  # larger than the images here


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, bits: int = 8, seed: int = 9) -> Tensor:
    return torch.randint(2**bits, shape, generator=seeded(seed))


def hole_at(height: int, width: int, *pixels: tuple[int, int]) -> Tensor:
    hole = torch.zeros(height, width, dtype=torch.bool)
    for y, x in pixels:
        hole[y, x] = True
    return hole


def mcgsm(channels: int = 1, reach: int = 1, seed: int = 1, **fields: str) -> MCGSM:
    """A small 2-bit model with random weights that make neighbours matter."""
    sides = {"rows": reach, "columns": reach, "cross_radius": 1.0}
    config = MCGSMConfig(channels, 2, 3, 2, 4, **sides, **fields)  # type: ignore[arg-type]
    model, generator = MCGSM(config).double().eval(), seeded(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            change = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(change, alpha=0.7)
    return model


class Scored(LikelihoodModel):
    """A table of probabilities of whole images: a model that cannot be walked."""

    likelihood = "mass"

    def __init__(self, table: Table) -> None:
        super().__init__(ToyConfig(table.shape[0], table.bits))
        self.table = table

    def log_prob(self, x: Tensor) -> Tensor:
        self.check(x)
        return self.table.log_prob(x)


def fillings(x: Tensor, hole: Tensor, bits: int) -> Tensor:
    """All images (N, C, H, W) that differ from x in the hole."""
    values = all_images(bits, x.shape[0], 1, int(hole.sum()))[:, :, 0]
    images = x.expand(len(values), *x.shape).clone()
    images[:, :, hole] = values
    return images


def check_histogram(model: LikelihoodModel, x: Tensor, hole: Tensor, chain: Chain) -> None:
    """States of one chain, in blocks that tell the error bars, against p(hole | rest)."""
    assert model.bits is not None
    images = fillings(x, hole, model.bits)
    with torch.no_grad():
        expected = torch.softmax(model.log_prob(images), 0)
    number = {tuple(image[:, hole].flatten().tolist()): i for i, image in enumerate(images)}
    blocks, length = 16, 25
    counts = torch.zeros(blocks, len(images))
    for step in range(blocks * length):
        chain.advance()
        assert torch.equal(chain.x[:, ~hole], x[:, ~hole])
        counts[step // length, number[tuple(chain.x[:, hole].flatten().tolist())]] += 1
    shares = counts.double() / length
    # Few states are likely; the others are looked at together.
    likely = expected > 0.03
    assert likely.sum() >= 3
    actual = torch.cat([shares[:, likely], shares[:, ~likely].sum(1, keepdim=True)], 1)
    truth = torch.cat([expected[likely], expected[~likely].sum()[None]])
    error = actual.std(0) / math.sqrt(blocks)
    assert bool(((actual.mean(0) - truth).abs() < 4 * error + 1e-3).all())


def test_states_of_a_row_are_as_frequent_as_they_are_probable() -> None:
    model, x, hole = mcgsm(), noise(1, 1, 4, bits=2), hole_at(1, 4, (0, 0), (0, 2))
    check_histogram(model, x, hole, Chain(model, x, hole, patches=WHOLE, generator=seeded()))


@pytest.mark.parametrize(
    "patches", [Patches(3, 1, 1, 1), Patches(5, 2, 2, 2), Patches(4, 2, 1, 1)], ids=str
)
def test_holes_of_a_tiling_are_filled_independently(patches: Patches) -> None:
    """Equal holes that are out of each other's reach: as many draws as there are tiles."""
    model, times = mcgsm(), 24
    assert patches.exact_reach == model.reach == 1
    tile, hole = noise(1, 5, 6, bits=2), hole_at(5, 6, (1, 2), (2, 2), (2, 3))
    holes = hole.repeat(times, times)
    holes[:5], holes[:, :6], holes[-5:], holes[:, -6:] = False, False, False, False
    x = start(model, tile.repeat(1, times, times), holes, candidates=1, generator=seeded(1))
    chain = Chain(model, x, holes, patches=patches, generator=seeded())
    for _ in range(20):
        chain.advance()
    middle = torch.zeros(15, 18, dtype=torch.bool)
    middle[5:10, 6:12] = hole
    with torch.no_grad():
        images = fillings(tile.repeat(1, 3, 3), middle, bits=2)
        expected = torch.softmax(model.log_prob(images), 0)
    tiles = chain.x[0].unfold(0, 5, 5).unfold(1, 6, 6)[1:-1, 1:-1].flatten(0, 1)
    values = tiles[:, hole]
    actual = torch.bincount(values @ torch.tensor([16, 4, 1]), minlength=64).double()
    likely = expected * len(tiles) > 5
    seen = torch.cat([actual[likely], actual[~likely].sum()[None]])
    truth = torch.cat([expected[likely], expected[~likely].sum()[None]]) * len(tiles)
    assert likely.sum() >= 8
    assert chisquare(seen, truth).pvalue > 1e-3


def test_model_that_only_scores_has_a_chain_as_well() -> None:
    table = Table.markov(2, 1, 2, 2, generator=seeded(3))
    model, x, hole = Scored(table), noise(1, 2, 2, bits=2), hole_at(2, 2, (0, 0), (1, 0))
    check_histogram(model, x, hole, Chain(model, x, hole, patches=WHOLE, generator=seeded()))


COLOURS = [
    mcgsm(),
    mcgsm(channels=2, order="planes"),
    mcgsm(channels=2, order="pixels"),
    mcgsm(channels=3, colour="ycocg"),
]


@pytest.mark.parametrize("model", COLOURS, ids=lambda model: str(model.config))
def test_ratio_is_that_of_joint_probabilities_and_proposals(model: ExactModel) -> None:
    """Detailed balance, term by term, with the walk's probabilities in place of the shortcut."""
    x = noise(40, model.channels, 4, 5, bits=2)
    drawn = torch.rand(40, 4, 5, generator=seeded()) < 0.3
    everything = torch.ones_like(drawn)
    with torch.no_grad():
        y, log_ratio = ancestral(model)(x, drawn, everything, seeded())
        joint = model.log_prob(y) - model.log_prob(x)
    proposal = [(score(model, z) * drawn[:, None]).flatten(1).sum(1) for z in (x, y)]
    assert not torch.equal(y, x)
    torch.testing.assert_close(log_ratio, joint + proposal[0] - proposal[1], rtol=0, atol=1e-8)


@pytest.mark.parametrize("corner", [(9, 9), (0, 0), (0, 13), (17, 17), (17, 3)], ids=str)
@pytest.mark.parametrize(("patches", "exact"), [(Patches(7, 3, 3, 2), True),
                                                (Patches(7, 3, 3, 0), False)])  # fmt: skip
def test_patch_is_weighed_as_the_whole_image_is(
    corner: tuple[int, int], patches: Patches, exact: bool
) -> None:
    """Within the promised reach nothing is lost by looking at the surroundings only."""
    model = mcgsm(reach=2)
    assert (patches.exact_reach >= model.reach) == exact
    x, hole = noise(1, 20, 20, bits=2), torch.zeros(20, 20, dtype=torch.bool)
    hole[corner[0] : corner[0] + 3, corner[1] : corner[1] + 3] = True
    chain = Chain(model, x, hole, patches=patches, generator=seeded())
    inside, ratios = chain.propose, []

    def accepted(
        windows: Tensor, drawn: Tensor, weighed: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        proposed, log_ratio = inside(windows, drawn, weighed, generator)
        ratios.append(float(log_ratio))
        return proposed, torch.full_like(log_ratio, torch.inf)

    chain.propose = accepted
    chain.advance()
    assert not torch.equal(chain.x, x)
    with torch.no_grad():
        change = (model.log_prob_map(chain.x[None]) - model.log_prob_map(x[None]))[0, 0]
    assert len(ratios) == 1
    agrees = ratios[0] == pytest.approx(float(change[~hole].sum()), abs=1e-9)
    assert agrees if exact or corner[1] in (0, 17) else not agrees


def test_hole_that_comes_last_is_drawn_and_always_accepted() -> None:
    model, x = mcgsm(), noise(1, 5, 6, bits=2)
    hole = torch.zeros(5, 6, dtype=torch.bool)
    hole.view(-1)[-3:] = True
    chain = Chain(model, x, hole, patches=Patches(15, 6, 6), generator=seeded())
    for _ in range(50):
        chain.advance()
        assert chain.acceptance == 1


@pytest.mark.parametrize("flip", FLIPS)
@pytest.mark.parametrize("channels", [1, 3])
def test_only_the_hole_changes(flip: Flip, channels: int) -> None:
    model, x = Toy(ToyConfig(channels)), noise(channels, 14, 12)
    hole = torch.rand(14, 12, generator=seeded()) < 0.3
    before = x.clone()
    chain = Chain(model, x, hole, patches=Patches(7, 3, 2, 1), flip=flip, generator=seeded())
    for _ in range(5):
        chain.advance()
        model.check(chain.x[None])
        assert torch.equal(chain.x[:, ~hole], before[:, ~hole])
        assert chain.acceptance is not None and 0 < chain.acceptance < 1
        with torch.no_grad():
            assert chain.log_prob == float(model.log_prob(chain.x[None]))
    assert (chain.x != before).any(0)[hole].double().mean() > 0.5
    assert torch.equal(x, before), "the image that was given is not written to"


def test_flips_let_a_blind_model_see_the_other_side() -> None:
    """This toy sees only the left neighbour; mirrored, the right one: then both ends count."""
    model, rows = Toy(ToyConfig(shares=(1.0, 0.0))), 60
    x = torch.zeros(1, rows, 3, dtype=torch.int64)
    x[..., 2] = 200
    hole = torch.zeros(rows, 3, dtype=torch.bool)
    hole[:, 1] = True
    middles = {}
    for flip in ("none", "vertical", "horizontal"):
        chain = Chain(model, x, hole, patches=Patches(1, 1, 1, 1), flip=flip, generator=seeded(5))
        seen = []
        for _ in range(20):
            chain.advance()
            seen.append(chain.x[0, :, 1].double().mean())
        middles[flip] = torch.stack(seen)
    for flip in ("none", "vertical"):
        assert (middles[flip] < 20).all()
    assert (middles["horizontal"] < 20).any() and (middles["horizontal"] > 180).any()


def test_chain_depends_on_the_generator_alone_and_goes_on_from_its_state() -> None:
    model, x, hole = Toy(ToyConfig()), noise(1, 15, 15), hole_at(15, 15, (3, 4), (3, 5), (9, 9))

    def chain(seed: int) -> Chain:
        return Chain(model, x, hole, flip="both", generator=seeded(seed))

    one, two, other = chain(1), chain(1), chain(7)
    for _ in range(3):
        one.advance(), two.advance()
    assert torch.equal(one.x, two.x) and one.log_prob == two.log_prob
    other.load_state_dict(one.state_dict())
    assert other.acceptance == one.acceptance
    for _ in range(3):
        other.advance(), two.advance()
    assert torch.equal(other.x, two.x) and not torch.equal(one.x, two.x)


def test_start_is_the_most_probable_candidate() -> None:
    model, x = Toy(ToyConfig()), noise(1, 9, 9)
    hole = torch.rand(9, 9, generator=seeded()) < 0.4
    with torch.no_grad():
        best = {
            n: float(model.log_prob(start(model, x, hole, candidates=n, generator=seeded())[None]))
            for n in (1, 2, 6, 20)
        }
    assert best[1] <= best[2] <= best[6] <= best[20] and best[1] < best[20]
    filled = start(model, x, hole, generator=seeded())
    assert torch.equal(filled[:, ~hole], x[:, ~hole])
    with pytest.raises(ValueError, match="candidates must be at least 1, got 0"):
        start(model, x, hole, candidates=0, generator=seeded())


def test_model_that_only_scores_starts_from_known_pixels() -> None:
    table = Table.markov(2, 2, 1, 3, generator=seeded(3))
    x, hole = torch.tensor([[[1, 2, 3]], [[3, 2, 0]]]), hole_at(1, 3, (0, 1))
    filled = start(Scored(table), x, hole, generator=seeded())
    assert filled[:, 0, 1].tolist() in ([1, 3], [3, 0])
    assert torch.equal(filled[:, ~hole], x[:, ~hole])


def test_wrong_input_is_refused() -> None:
    model, x = Toy(ToyConfig()), noise(1, 4, 5)
    for hole in (torch.zeros(4, 5).bool(), torch.ones(5, 4).bool(), torch.ones(4, 5)):
        with pytest.raises(ValueError, match=r"hole must be a bool tensor of shape \(4, 5\)"):
            Chain(model, x, hole, generator=seeded())
    with pytest.raises(ValueError, match="8-bit values"):
        Chain(model, x + 200, torch.ones(4, 5).bool(), generator=seeded())
    continuous = Scored(Table.markov(2, 1, 2, 2, generator=seeded(3)))
    object.__setattr__(continuous.config, "bits", None)
    with pytest.raises(ValueError, match="needs a model of integers; Scored has no bits"):
        random_walk(continuous)
