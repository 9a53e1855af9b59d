"""One level of a PixelPyramid: the fine part of an image given its coarse image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from imprior.distributions.channels import ChannelMixture, rows_of
from imprior.models.pyramids.config import Fine, LevelConfig
from imprior.models.pyramids.convlstm import ConvLSTM, State
from imprior.models.pyramids.mixtures import Mixtures
from imprior.models.pyramids.neighbours import GAIN, neighbours, num_neighbours
from imprior.models.pyramids.parts import squeeze, unsqueeze
from imprior.models.pyramids.unet import ResidualUNet, UNet
from imprior.transforms import pairs


class PyramidLevel(nn.Module):
    r"""A mixture of logistics for each fine pixel, given the coarse image and earlier parts.

    .. math:: p(F \mid I) = p(F^1 \mid I) \prod_{s=2}^S p(F^s \mid F^{<s}, I)

    A U-Net looks at the coarse image I, a conv-LSTM at the parts of the fine image in turn.

    Arguments:
        config: The networks.
        channels, bits: Of the images.
        fine: See `PixelPyramidConfig`.

    Source: Mahajan & Roth (2021), Sec. 3.2.
    """

    def __init__(self, config: LevelConfig, channels: int, bits: int, fine: Fine) -> None:
        super().__init__()
        self.config, self.channels, self.bits, self.fine = config, channels, bits, fine
        unets = {"published": UNet, "residual": ResidualUNet}
        seen = num_neighbours(channels) if config.neighbours else channels
        self.context = unets[config.context](seen, config) if config.context in unets else None
        seen = seen if self.context is None else config.features
        if config.num_lstms:
            before = range(config.squeeze**2) if config.direct else (1,)
            self.embed = nn.ModuleList(
                nn.Conv2d(seen + parts * channels, config.hidden, 3, padding=1) for parts in before
            )
            seen = config.hidden
        self.lstms = nn.ModuleList(ConvLSTM(seen, seen) for _ in range(config.num_lstms))
        self.output = Mixtures(2 * seen if config.direct else seen, channels, config, fine)
        channels_last(self)
        self.register_load_state_dict_post_hook(channels_last)

    # -- what is told, and relative to what

    def told(self, coarse: Tensor, fine: Tensor, axis: int) -> Tensor:
        """The integers that the mixtures are of, in place of the fine part."""
        if self.fine == "pixel":
            return fine
        return pairs.difference(fine, coarse, axis, self.bits)

    def untold(self, coarse: Tensor, told: Tensor, axis: int) -> Tensor:
        """The inverse of `told`."""
        if self.fine == "pixel":
            return told
        return pairs.undo_difference(told, coarse, axis, self.bits)

    def centre(self, coarse: Tensor, shape: torch.Size, axis: int) -> Tensor:
        """What means are relative to, grey levels, floats of the shape of the fine part."""
        dtype = self.output.weight.dtype
        if self.fine == "pixel":
            return pairs.interpolate(coarse.to(dtype), axis, shape[axis])
        return torch.full(shape, 2.0 ** (self.bits - 1), dtype=dtype, device=coarse.device)

    # -- the parallel pass

    def log_mass_map(self, coarse: Tensor, fine: Tensor, axis: int) -> Tensor:
        """Log-masses of the fine part's values, nats, float64 (B, C, H, W)."""
        mixture, values = self.mixture(coarse, fine, axis)
        masses = mixture.floored_log_mass(values)
        return unsqueeze(masses, self.config.squeeze, fine.shape)

    def log_mass(self, coarse: Tensor, fine: Tensor, axis: int) -> Tensor:
        """The sum of the log-masses, nats, with a gradient in the far tails too; for training."""
        mixture, values = self.mixture(coarse, fine, axis)
        masses = mixture.total_log_mass(values)
        if fine.shape[2] % self.config.squeeze or fine.shape[3] % self.config.squeeze:
            shape = torch.Size((len(fine), 1, *fine.shape[2:]))
            masses = unsqueeze(masses[:, None], self.config.squeeze, shape)
        return masses.sum()

    def mixture(self, coarse: Tensor, fine: Tensor, axis: int) -> tuple[ChannelMixture, Tensor]:
        """Mixtures and values of all pixels, in the order of `parts.squeeze`."""
        factor = self.config.squeeze
        told = squeeze(self.told(coarse, fine, axis), factor)
        centres = squeeze(self.centre(coarse, fine.shape, axis), factor)
        before, states = self.relative(told[:-1], centres[:-1]), self.states()
        # Step by step: what inputs contribute to all steps at once is too much for a cache.
        hidden = torch.stack(
            [
                self.step(features, before[:part], states)
                for part, features in enumerate(self.features(coarse, fine.shape, axis))
            ]
        )
        mixture = self.mixtures(hidden.flatten(0, 1), centres.flatten(0, 1))
        return mixture, rows_of(told.flatten(0, 1))

    def states(self) -> list[State | None]:
        """The conv-LSTMs' before the first part."""
        return [None] * len(self.lstms)

    def step(
        self, features: Tensor, before: Sequence[Tensor] | Tensor, states: list[State | None]
    ) -> Tensor:
        """What mixtures of a part are made of, (B, ., H, W).

        Arguments:
            features: Of the part.
            before: The parts before it, as `relative` gives them.
            states: The conv-LSTMs', which are replaced.
        """
        if not self.config.num_lstms:
            return features
        if self.config.direct:
            embedded = self.embed[len(before)](torch.cat([features, *before], 1))
        else:
            nothing = features.new_zeros(len(features), self.channels, *features.shape[2:])
            last = before[-1] if len(before) else nothing
            embedded = self.embed[0](torch.cat([features, last], 1))
        x = embedded
        for number, lstm in enumerate(self.lstms):
            state = states[number] = lstm(x, states[number])
            x = state.h
        return torch.cat([x, embedded], 1) if self.config.direct else x

    def features(self, coarse: Tensor, shape: torch.Size, axis: int) -> Tensor:
        """What is known of each part's pixels from the coarse image, (S, B, features, H, W)."""
        x = coarse.to(self.output.weight.dtype) * (2 / (2**self.bits - 1)) - 1
        if self.config.neighbours:
            x = neighbours(x, axis)
        x = x.contiguous(memory_format=torch.channels_last)
        if self.context is not None:
            x = self.context(x)
        return squeeze(x[:, :, : shape[2], : shape[3]], self.config.squeeze)

    def relative(self, told: Tensor, centre: Tensor) -> Tensor:
        """What later parts see of parts: values are near their centres, as neighbours are."""
        return (told - centre) * (GAIN / 2 ** (self.bits - 1))

    def mixtures(self, hidden: Tensor, centre: Tensor) -> ChannelMixture:
        """The mixtures of pixels, (B, ., H, W)."""
        parameters = self.output(hidden).to(centre.dtype)
        return ChannelMixture(rows_of(parameters), rows_of(centre), self.bits)


class LevelObjective(nn.Module):
    """What the training of a level makes small.

    Arguments:
        level: The networks.
        axis: That the level splits.
        coarsest: Side at which the pyramid ends, for networks that are repeated: they learn from
            every second coarser level too.
    """

    def __init__(self, level: PyramidLevel, axis: int, coarsest: int | None) -> None:
        super().__init__()
        self.level, self.axis, self.coarsest = level, axis, coarsest

    def loss(self, x: Tensor) -> Tensor:
        """Nats per fine value of the level's images, integers (B, C, H, W).

        Raises:
            ValueError: If the images are too small for the level.
        """
        total, count = torch.zeros((), device=x.device), 0
        while x.shape[self.axis] > 1:
            coarse, fine = pairs.split(x, self.axis)
            total = total - self.level.log_mass(coarse, fine, self.axis)
            count += fine.numel()
            x, _ = pairs.split(coarse, 5 - self.axis)
            if self.coarsest is None or max(x.shape[2:]) <= self.coarsest:
                break
        if not count:
            raise ValueError(
                f"images of {x.shape[2]}x{x.shape[3]} pixels at a level of the pyramid have no "
                "fine part: train on larger crops"
            )
        return total / count

    def metrics(self, x: Tensor) -> dict[str, Tensor]:
        """The loss in bits."""
        return {"bits_per_dim": self.loss(x) / math.log(2)}


def channels_last(module: nn.Module, _: object = None) -> None:
    """Keeps weights in the layout of the activations; otherwise each call would copy them."""
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
