r"""Convolutional LSTMs over the interleaved parts of a fine image.

.. math::
    i, f, o = \sigma(W_{ifo} * [x_s, h_{s-1}] + b_{ifo}), \quad
    g = \tanh(W_g * [x_s, h_{s-1}] + b_g), \quad
    c_s = f \odot c_{s-1} + i \odot g, \quad h_s = o \odot \tanh c_s

Source: Shi et al. (2015), without peepholes, as in Mahajan & Roth (2021), Sec. 3.2.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from imprior.models.pyramids.gates import gates


class State(NamedTuple):
    """What one step hands to the next; h and c are (B, hidden, H, W)."""

    h: Tensor
    c: Tensor


class ConvLSTM(nn.Module):
    """One layer.

    Arguments:
        inputs, hidden: Channels of what comes in and of what goes out.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.by_input = nn.Conv2d(inputs, 4 * hidden, 3, padding=1)
        self.by_state = nn.Conv2d(hidden, 4 * hidden, 3, padding=1, bias=False)
        bound = (9 * hidden) ** -0.5
        nn.init.uniform_(self.by_input.weight, -bound, bound)
        nn.init.uniform_(self.by_state.weight, -bound, bound)
        with torch.no_grad():  # memories last at first: f is near 1
            self.by_input.bias.zero_()[hidden : 2 * hidden] = 1  # type: ignore[union-attr]

    def forward(self, x: Tensor, state: State | None) -> State:
        """One step, (B, inputs, H, W); no state stands for zeros."""
        by_input = self.by_input(x)
        if state is None:
            return State(*gates(by_input))
        return State(*gates(by_input, self.by_state(state.h), state.c))
