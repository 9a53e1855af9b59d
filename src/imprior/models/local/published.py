"""Reads published denoisers: PyTorch state dicts of networks that predict noise.

Two layouts are known. Those of Kadkhodaie et al. (2023) have `conv_layers.N.weight`,
`BN_layers.N.running_sd` and `BN_layers.N.gammas`, and no ReLU after the first layer; that of their
predecessor, "BF-CNN", has `running_sd.N` and `gammas.N`, and that ReLU. Depth, width, channels and
which layers are 3×3 are read off the shapes.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from imprior.models.local.conditional import ConditionalDenoiser
from imprior.models.local.config import (
    FlatDenoiserConfig,
    LocalModelConfig,
    NetworkConfig,
    NoiseConfig,
    spread,
)
from imprior.models.local.denoiser import FlatDenoiser
from imprior.models.local.model import LocalModel
from imprior.models.local.network import BiasFreeCNN
from imprior.transforms.wavelets import NUM_DETAILS

PathLike = str | os.PathLike[str]

# What the values of a state dict are, by their names; the last two of the predecessor.
_KINDS = {
    r"conv_layers\.(\d+)\.weight": "kernel",
    r"BN_layers\.(\d+)\.running_sd": "sd",
    r"BN_layers\.(\d+)\.gammas": "gain",
    r"running_sd\.(\d+)": "old sd",
    r"gammas\.(\d+)": "old gain",
}


def read_flat(path: PathLike) -> FlatDenoiser:
    """A published denoiser of images, or of low-pass images.

    Raises:
        ValueError: If the file holds something else; it says what.
    """
    network = _read(path)
    if network.inputs != network.outputs:
        raise ValueError(
            f"{path} is no denoiser of images: it makes {network.outputs} channels of "
            f"{network.inputs} (a conditional denoiser makes 3 of 4)"
        )
    model = FlatDenoiser(FlatDenoiserConfig(network.inputs, network.config))
    network.fill(model.network)
    return model.eval()


def read_conditional(path: PathLike) -> ConditionalDenoiser:
    """A published denoiser of the details of one scale.

    Raises:
        ValueError: If the file holds something else; it says what.
    """
    network = _read(path)
    channels, rest = divmod(network.outputs, NUM_DETAILS)
    if rest or network.inputs != (1 + NUM_DETAILS) * channels:
        raise ValueError(
            f"{path} is no conditional denoiser: it makes {network.outputs} channels of "
            f"{network.inputs}, instead of 3 details of 1 low-pass and 3 details"
        )
    model = ConditionalDenoiser(channels, network.config, NoiseConfig(0.25, rescale=False))
    network.fill(model.network)
    return model.eval()


def read_local(scales: Sequence[PathLike], low: PathLike) -> LocalModel:
    """A multi-scale model from published networks.

    Arguments:
        scales: Files of the conditional denoisers, that of the finest scale first.
        low: File of the denoiser of the coarsest low-pass image.

    Raises:
        ValueError: If a file holds something else, or networks differ in channels.
    """
    coarsest, details = read_flat(low), [read_conditional(path) for path in scales]
    channels = {coarsest.channels, *(denoiser.channels for denoiser in details)}
    if len(channels) > 1:
        raise ValueError(f"networks for images of {sorted(channels)} channels are not one model")
    networks = tuple(denoiser.network.config for denoiser in details)
    model = LocalModel(
        LocalModelConfig(coarsest.channels, networks, coarsest.config.network)
    )  # fmt: skip
    model.low.load_state_dict(coarsest.state_dict())
    for number, denoiser in enumerate(details):
        model.scale(number).load_state_dict(denoiser.state_dict())
    return model.eval()


class Published(NamedTuple):
    """A network as its file has it.

    Attributes:
        config: What its shapes tell.
        kernels: Of the convolutions.
        deviations, gains: Of the normalizations, (width,) each.
    """

    config: NetworkConfig
    kernels: list[Tensor]
    deviations: list[Tensor]
    gains: list[Tensor]

    @property
    def inputs(self) -> int:
        """Channels of what it sees."""
        return self.kernels[0].shape[1]

    @property
    def outputs(self) -> int:
        """Channels of what it predicts."""
        return self.kernels[-1].shape[0]

    @torch.no_grad()
    def fill(self, network: BiasFreeCNN) -> None:
        """Copies its tensors into ours."""
        state = {f"convolutions.{n}.weight": kernel for n, kernel in enumerate(self.kernels)}
        state |= {f"norms.{n}.running_sd": sd for n, sd in enumerate(self.deviations)}
        state |= {f"norms.{n}.gain": gain for n, gain in enumerate(self.gains)}
        network.load_state_dict(state)


def _read(path: PathLike) -> Published:
    try:
        return _parse(_load(Path(path)))
    except ValueError as error:
        raise ValueError(f"{path} is no published denoiser: {error}") from None


def _load(path: Path) -> Mapping[str, Tensor]:
    """The state dict in a file, which is never unpickled to anything but tensors."""
    if not path.is_file():
        raise ValueError("there is no such file")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # nearly anything is raised on damaged files
        kind = type(error).__name__  # what they say is a page long
        raise ValueError(f"it is damaged, or holds more than tensors ({kind})") from None
    if not isinstance(state, Mapping) or not all(isinstance(x, Tensor) for x in state.values()):
        raise ValueError("it holds something else than tensors by name")
    return {str(name): x.detach() for name, x in state.items()}


def _parse(state: Mapping[str, Tensor]) -> Published:
    """The network of a state dict; ValueError with what is wrong if it is none."""
    found: dict[str, dict[int, Tensor]] = {}
    for key, tensor in state.items():
        name = key.removeprefix("module.")
        kinds = [(kind, match) for p, kind in _KINDS.items() if (match := re.fullmatch(p, name))]
        if not kinds:
            raise ValueError(f"it has {key}, which no denoiser of this family has")
        plain = tensor.layout == torch.strided and tensor.is_floating_point()
        if not (plain and bool(tensor.isfinite().all())):
            raise ValueError(f"{key} has values that are not finite floats")
        (kind, match), *_ = kinds
        found.setdefault(kind, {})[int(match[1])] = tensor.float()
    old = "old sd" in found or "old gain" in found
    if ("sd" in found or "gain" in found) == old:
        raise ValueError("it must have either BN_layers or running_sd and gammas")
    kernels = _listed(found, "kernel")
    deviations, gains = (_listed(found, f"old {kind}" if old else kind) for kind in ("sd", "gain"))
    _check_layers(kernels)
    depth, width = len(kernels), kernels[0].shape[0]
    for what, values in (("running_sd", deviations), ("gammas", gains)):
        if [tuple(x.shape) for x in values] != [(1, width, 1, 1)] * (depth - 2):
            raise ValueError(f"its {what} are not {depth - 2} tensors of shape (1, {width}, 1, 1)")
    if any(bool((sd <= 0).any()) for sd in deviations):
        raise ValueError("a running_sd is not positive")
    config = _config(kernels, first_relu=old)
    return Published(config, kernels, *([x.flatten() for x in xs] for xs in (deviations, gains)))


def _listed(found: Mapping[str, Mapping[int, Tensor]], kind: str) -> list[Tensor]:
    numbered = found.get(kind, {})
    if not numbered or sorted(numbered) != list(range(len(numbered))):
        raise ValueError(f"its {kind.removeprefix('old ')}s have the numbers {sorted(numbered)}")
    return [numbered[number] for number in range(len(numbered))]


def _check_layers(kernels: Sequence[Tensor]) -> None:
    """Raises ValueError unless these are convolutions one after another."""
    last = len(kernels) - 1
    if not last:
        raise ValueError("it has one convolution only")
    for number, kernel in enumerate(kernels):
        shape = tuple(kernel.shape)
        if len(shape) != 4 or shape[2:] not in ((1, 1), (3, 3)):
            raise ValueError(f"convolution {number} has the shape {shape}, not 1×1 or 3×3 kernels")
        width = kernels[0].shape[0]
        if (number and shape[1] != width) or (number < last and shape[0] != width):
            raise ValueError(f"convolution {number} has the shape {shape}, for a width of {width}")


def _config(kernels: Sequence[Tensor], *, first_relu: bool) -> NetworkConfig:
    where = tuple(number for number, kernel in enumerate(kernels) if kernel.shape[2] == 3)
    depth, field = len(kernels), 2 * len(where) + 1
    config = NetworkConfig(depth, kernels[0].shape[0], field, where, first_relu)
    return dataclasses.replace(config, where=None) if where == spread(depth, field) else config
