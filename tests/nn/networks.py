"""Small PixelCNN++ networks with random parameters."""

from __future__ import annotations

import torch

from imprior.nn.pixelcnn import PixelCNNNetwork


def make(num_blocks: int = 1, *, channels: int = 2, dropout: float = 0.0) -> PixelCNNNetwork:
    """A network in double precision, none of whose parameters is without effect."""
    torch.manual_seed(1)
    network = PixelCNNNetwork(channels, 5, num_filters=4, num_blocks=num_blocks, dropout=dropout)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return network.double()


def pixels(batch: int, height: int, width: int, channels: int = 2) -> torch.Tensor:
    """Values in [-1, 1]."""
    generator = torch.Generator().manual_seed(2)
    size = (batch, channels, height, width)
    return 2 * torch.rand(size, generator=generator, dtype=torch.float64) - 1
