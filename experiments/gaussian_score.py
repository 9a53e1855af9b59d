r"""Whether the residual of a trained denoiser is a score: on a Gaussian field, where it is known.

    python -m experiments.gaussian_score                          # a quarter of an hour on a core
    python -m experiments.gaussian_score --blind true             # one network of all levels
    python -m experiments.gaussian_score --steps 200 --record false

Images are white noise, smoothed by a binomial filter over 3 x 3 pixels with periodic borders. For
these the best denoiser is Wiener's filter,

    x̂(y) - y = σ² ∇ log p(y) = -σ² / (S + σ²) * y,     S the power spectrum of the images,

computed by Fourier transforms. A bias-free network learns from noise of one level; if `blind`, from
all levels up to twice the images' deviation, which it then has to guess from the few pixels of its
field. The error is the root mean square of the difference of both residuals, relative to that of
the closed form; pixels near the borders of the images, which the network takes for zeros, do not
count.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from jsonargparse import auto_cli
from torch import Tensor

from experiments.records import Record, append
from imprior.data.batches import Draws
from imprior.data.loading import stream_of
from imprior.models.local.config import FlatDenoiserConfig, NetworkConfig, NoiseConfig
from imprior.models.local.denoiser import FlatDenoiser
from imprior.train.config import FitConfig
from imprior.train.fit import fit
from imprior.train.progress import Progress

RESULTS = Path(__file__).parent / "results" / "gaussian_score.json"
SIDE = 48
DEVIATION = 0.2  # of the images
LEVELS = (0.1, 0.2, 0.4)
NETWORK = NetworkConfig(depth=7, width=32, receptive_field=15)


def transfer(side: int) -> Tensor:
    """The smoothing filter's transfer function, (side, side), scaled for images of `DEVIATION`."""
    frequencies = torch.fft.fftfreq(side) * 2 * torch.pi
    one = (1 + frequencies.cos()) / 2
    both = one[:, None] * one[None, :]
    return both * DEVIATION / both.square().mean().sqrt()


def residual(y: Tensor, sigma: float) -> Tensor:
    """What the best denoiser adds to noisy images (B, 1, side, side), in closed form."""
    power = transfer(y.shape[-1]).square()
    gain = -(sigma**2) / (power + sigma**2)
    return torch.fft.ifft2(torch.fft.fft2(y) * gain).real


@dataclass
class Fields(Draws):
    """Images of the Gaussian field, floats (1, SIDE, SIDE).

    Attributes:
        count: Of an epoch.
        seed: Of the draws.
    """

    count: int
    seed: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        white = torch.randn(1, SIDE, SIDE, generator=stream_of(self.seed, index))
        return torch.fft.ifft2(torch.fft.fft2(white) * transfer(SIDE)).real


def trained(noise: NoiseConfig, steps: int, folder: Path) -> FlatDenoiser:
    """A denoiser of the field, from mini-batches of 32 images."""
    torch.manual_seed(0)
    model = FlatDenoiser(FlatDenoiserConfig(1, NETWORK, noise))
    config = FitConfig(
        steps, 32, 0.02, optimizer="muon", momentum=0.95, warmup_steps=min(100, steps),
        validate_every=min(500, steps), monitor="mse",
    )  # fmt: skip

    def tell(at: Progress) -> None:
        print(f"{folder.name}, step {at.step} of {at.total}", flush=True)

    fit(model, Fields(32, 1), Fields(64, 2), config, folder, progress=tell, channels_last=True)
    return model


@torch.no_grad()
def error(model: FlatDenoiser, images: Tensor, sigma: float) -> float:
    """Relative root mean square error of the residual at a level of noise."""
    inner = slice(model.halo, -model.halo)
    y = images + sigma * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    exact = residual(y, sigma)[..., inner, inner]
    ours = sigma**2 * model.score(y, sigma)[..., inner, inner]
    return float((ours - exact).square().mean().sqrt() / exact.square().mean().sqrt())


def main(
    steps: int = 1_000,
    blind: bool = False,
    folder: Path = Path("runs/gaussian-score"),
    record: bool = True,
) -> None:
    """Trains the networks and compares.

    Arguments:
        steps: Mini-batches of 32 images, of each network.
        blind: Whether there is one network for all levels of noise.
        folder: Where the trainings keep their state.
        record: Whether to append the figures to the results.
    """
    torch.set_num_threads(1)
    began = time.perf_counter()
    images = torch.stack([Fields(64, 3)[number] for number in range(64)])
    whose = "one network of all levels" if blind else "a network of this level"
    protocol = f"field smoothed over 3 x 3, {steps} steps, {whose}, {NETWORK.receptive_field} wide"
    records = []
    for sigma in LEVELS:
        noise = NoiseConfig(max(LEVELS) if blind else sigma, power=int(blind), rescale=False)
        name = "blind" if blind else f"sigma-{sigma:g}"
        model = trained(noise, steps, folder / name)
        name = f"gaussian-field/score/sigma-{sigma:g}"
        seconds = time.perf_counter() - began
        records.append(Record(name, 100 * error(model, images, sigma), "% rms", protocol, seconds))
        print(records[-1])
    if record:
        append(RESULTS, records)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
