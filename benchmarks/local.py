"""How fast published denoisers are here, beside the same networks computed as their code does.

    IMPRIOR_DATA=DIR python -m benchmarks.local                     # one core
    IMPRIOR_DATA=DIR python -m benchmarks.local --side 64 --pixels 100000 --record false

"torch" computes as the published code: each normalization finds a variance that it then does not
use, divides and multiplies; channels are planes in memory; wavelets are PyWavelets'. "imprior" is
`denoise` of our models, with the same weights. All see a photograph with noise; both results agree
to 1e-5. "bfloat16" is ours under autocast, "compiled" with `torch.compile`, if it was asked for;
what those change of the result is recorded, too. The figures go to results/local.json.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pywt
import torch
from jsonargparse import auto_cli
from torch import Tensor
from torch.nn import functional

from benchmarks.mcgsm import Task, fastest, records
from experiments.bsds300 import data_root
from experiments.records import Record, append
from imprior.data.datasets import bundled
from imprior.data.images import read, to_float
from imprior.data.loading import to_gray
from imprior.denoisers import Denoiser
from imprior.models.local.denoiser import FlatDenoiser
from imprior.models.local.model import LocalModel
from imprior.models.local.network import BiasFreeCNN
from imprior.models.local.published import read_flat, read_local

RESULTS = Path(__file__).parent / "results" / "local.json"
SIGMA = 25 / 255  # of the noise
TOLERANCE = 1e-5
ONE_CORE = "one thread, CPU time, median"
MEGAPIXEL = 1_000_000

Denoise = Callable[[Tensor], Tensor]


# -- as the published code computes


def plain_network(network: BiasFreeCNN, x: Tensor) -> Tensor:
    """The noise, layer by layer."""
    layers, norms = list(network.convolutions), list(network.norms)
    for number, layer in enumerate(layers):
        weight = layer.weight.contiguous()  # type: ignore[operator]
        x = functional.conv2d(x, weight, padding=weight.shape[2] // 2)
        if 0 < number <= len(norms):
            norm = norms[number - 1]
            _ = torch.sqrt(x.var((0, 2, 3), keepdim=True, unbiased=False) + 1e-5)
            sd, gain = (v.view(1, -1, 1, 1) for v in (norm.running_sd, norm.gain))  # type: ignore[operator]
            x = x / sd.expand_as(x)
            x = x * gain.expand_as(x)
        if number < len(norms) + 1 and (number or network.config.first_relu):
            x = functional.relu(x, inplace=True)
    return x


def plain_flat(model: FlatDenoiser, y: Tensor) -> Tensor:
    """What `model.denoise` gives."""
    return y - plain_network(model.network, y)


def plain_multiscale(model: LocalModel, y: Tensor) -> Tensor:
    """What `model.denoise` gives for one image of sides that 2^J divides."""
    image, details = y[0, 0].numpy(), []
    for number in range(len(model.scales)):
        image, bands = pywt.dwt2(image, "haar")
        details.append(torch.from_numpy(np.stack(bands) / 2 ** (number + 1))[None])
    low = torch.from_numpy(image / 2 ** len(details))[None, None]
    low = plain_flat(model.low, low)
    for number in reversed(range(len(details))):
        noisy = details[number]
        clean = noisy - plain_network(model.scale(number).network, torch.cat([low, noisy], 1))
        image = pywt.idwt2((low[0, 0].numpy(), tuple(clean[0].numpy())), "haar")
        low = torch.from_numpy(2 * image)[None, None]
    return low


# -- ours beside it


def noisy(side: tuple[int, int]) -> Tensor:
    """A grey photograph with noise, repeated where it is smaller, floats (1, 1, H, W)."""
    pixels = read(bundled("test")[0].path).pixels
    gray = to_float(to_gray(pixels) if len(pixels) == 3 else pixels[:1], 8)
    rows, columns = (torch.arange(n) % m for n, m in zip(side, gray.shape[1:], strict=True))
    image = gray[:, rows][:, :, columns].contiguous()[None]
    generator = torch.Generator().manual_seed(0)
    return image + SIGMA * torch.randn(image.shape, generator=generator)


def networks(folder: Path) -> dict[str, tuple[Denoiser, Denoise]]:
    """Each published model, by name, and how it is computed plainly."""
    faces = folder / "celebA_160x160_gray"
    flat = {f"flat-{field}": faces / f"flat_RF_{field}x{field}" for field in (13, 43)}
    flat["bsd400"] = folder / "BSD400_gray" / "flat_BF_CNN"
    found: dict[str, tuple[Denoiser, Denoise]] = {}
    for name, place in flat.items():
        model = read_flat(place / "model.pt")
        found[name] = model, partial(plain_flat, model)
    scales = [faces / f"multi_scale_RF_13x13_scale_{j}" / "model.pt" for j in (0, 1)]
    local = read_local(scales, faces / "multi_scale_RF_40x40_low" / "model.pt")
    return found | {"multiscale-13": (local, partial(plain_multiscale, local))}


def half(denoise: Denoise, y: Tensor) -> Tensor:
    """With convolutions in bfloat16."""
    with torch.autocast("cpu", torch.bfloat16):
        return denoise(y)


def rows_of(
    name: str, denoise: Denoise, plain: Denoise, y: Tensor, theirs: str, runs: int, compiled: bool
) -> list[Record]:
    """Times of one model, and what faster variants change."""
    began = time.monotonic()
    ways: dict[str, Denoise] = {"imprior": denoise, "imprior-bfloat16": partial(half, denoise)}
    if compiled:
        ways["imprior-compiled"] = torch.compile(denoise)
    ways["torch"] = plain
    with torch.no_grad():
        results = {way: make(y) for way, make in ways.items()}
        tasks: dict[str, list[Task]] = {way: [partial(make, y)] for way, make in ways.items()}
        seconds = fastest(tasks, runs)
    changes = {way: float((x - results["torch"]).abs().max()) for way, x in results.items()}
    if changes["imprior"] > TOLERANCE:
        raise RuntimeError(f"{name} is off by {changes['imprior']:.2g}")
    took, size = time.monotonic() - began, f"{y.shape[3]} x {y.shape[2]}"
    protocol = f"a grey photograph of {size}, published weights; {ONE_CORE} of {runs}; {theirs}"
    rows = records(f"local-{name}", seconds, protocol, None, took)
    for way in ("imprior", "imprior-bfloat16"):
        what = f"largest difference from torch of the same, {size}, sigma 25/255, range 1"
        rows.append(Record(f"local-{name}/{way}", changes[way], "1", what, round(took)))
        print(rows[-1])
    return rows


def main(
    side: int = 160,
    pixels: int = MEGAPIXEL,
    runs: int = 7,
    compiled: bool = False,
    record: bool = True,
) -> None:
    """Times all and records the medians.

    Arguments:
        side: Of the image for all nets but "bsd400".
        pixels: Of the square image for that, about.
        runs: Of each implementation, after one that warms up; 3 at most for that.
        compiled: Whether to try `torch.compile`, which needs a C++ compiler.
        record: Whether to append the figures to results/local.json.
    """
    torch.set_num_threads(1)
    theirs = {
        "flat-13": "0.383 s",
        "flat-43": "0.583 s",
        "multiscale-13": "0.149 s",
        "bsd400": "32 to 36 s a megapixel",
    }
    rows = []
    for name, (model, plain) in networks(data_root() / "published-denoisers").items():
        large = name == "bsd400"
        length = round(pixels**0.5) if large else side
        told = f"the authors' code on a machine of this kind: {theirs[name]}"
        turns = min(runs, 3) if large else runs
        y = noisy((length, length))
        rows += rows_of(name, model.denoise, plain, y, told, turns, compiled)
    if record:
        append(RESULTS, rows)


if __name__ == "__main__":
    auto_cli(main)
