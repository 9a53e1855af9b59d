"""Small denoisers with weights of their own, for the tests beside this file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from imprior.models.local.config import (
    FlatDenoiserConfig,
    LocalModelConfig,
    NetworkConfig,
)
from imprior.models.local.denoiser import FlatDenoiser
from imprior.models.local.model import LocalModel
from imprior.models.local.norm import BiasFreeNorm

SMALL = NetworkConfig(depth=5, width=6, receptive_field=7)
FLAT = FlatDenoiserConfig(1, SMALL)
LOCAL = LocalModelConfig(1, (SMALL, replace(SMALL, receptive_field=5)), replace(SMALL, depth=4))

Module = TypeVar("Module", bound=nn.Module)


def randomized(module: Module) -> Module:
    """In double precision, with normalizations that are not those of a new one."""
    for norm in module.modules():
        if isinstance(norm, BiasFreeNorm):
            with torch.no_grad():
                norm.gain.copy_(torch.randn_like(norm.gain).abs() + 0.5)
                norm.running_sd.copy_(torch.rand_like(norm.running_sd) + 0.5)
    return module.double().eval()


def flat(**fields: Any) -> FlatDenoiser:
    torch.manual_seed(0)
    return randomized(FlatDenoiser(replace(FLAT, **fields)))


def local(**fields: Any) -> LocalModel:
    torch.manual_seed(0)
    return randomized(LocalModel(replace(LOCAL, **fields)))


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def assert_close(actual: Tensor, expected: Tensor, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance)
