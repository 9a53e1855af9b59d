"""The compiled gates of a conv-LSTM equal the plain ones, forwards and backwards."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from imprior.models.pyramids.convlstm import ConvLSTM, State
from imprior.models.pyramids.gates import gates, plain


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("memory", [True, False])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_values_and_gradients(memory: bool, layout: torch.memory_format) -> None:
    x, y = (random(2, 12, 3, 5, seed=seed) for seed in (0, 1))
    c = random(2, 3, 3, 5, seed=2)
    inputs: tuple[Tensor, ...] = (x, y, c) if memory else (x,)
    inputs = tuple(i.contiguous(memory_format=layout).requires_grad_() for i in inputs)
    weights = random(2, 3, 3, 5, seed=3), random(2, 3, 3, 5, seed=4)
    found, expected = gates(*inputs), plain(*inputs)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    grads = [
        torch.autograd.grad((h * weights[0] + c * weights[1]).sum(), inputs)
        for h, c in (found, expected)
    ]
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other)


def test_gradients_of_one_output_alone() -> None:
    x, y = (random(1, 8, 2, 2, seed=seed).requires_grad_() for seed in (0, 1))
    c = random(1, 2, 2, 2, seed=2).requires_grad_()
    torch.autograd.gradcheck(lambda *inputs: gates(*inputs)[0], (x, y, c))
    torch.autograd.gradcheck(lambda *inputs: gates(*inputs)[1], (x, y, c))


def test_single_precision_and_bfloat16() -> None:
    x, y = (random(1, 16, 4, 4, seed=seed) for seed in (0, 1))
    c = random(1, 4, 4, 4, seed=2).float()
    for dtype in (torch.float32, torch.bfloat16):
        h, _ = gates(x.to(dtype), y.to(dtype), c)
        expected, _ = plain(x.to(dtype).double(), y.to(dtype).double(), c.double())
        assert h.dtype is torch.float32
        torch.testing.assert_close(h.double(), expected, rtol=1e-5, atol=1e-5)


def test_no_state_is_one_of_zeros() -> None:
    lstm, x = ConvLSTM(3, 4).double(), random(2, 3, 6, 7)
    zeros = torch.zeros(2, 4, 6, 7, dtype=torch.float64)
    torch.testing.assert_close(lstm(x, None), lstm(x, State(zeros, zeros)))
