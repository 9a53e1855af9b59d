"""A lack of memory is one line, whoever says so; other errors stay what they are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from imprior.inference.ascent import ascend, spawn
from imprior.inference.memory import enough_memory

LACKS = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
]


@pytest.mark.parametrize("error", LACKS)
def test_lack_of_memory_is_told(error: Exception) -> None:
    with (
        pytest.raises(MemoryError, match=r"^there is not enough memory to sing$"),
        enough_memory("sing"),
    ):
        raise error


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"), enough_memory("sing"):
        raise RuntimeError("size mismatch")


def test_ascent_tells_how_large_its_images_were() -> None:
    def denoise(y: Tensor) -> Tensor:
        raise LACKS[2]

    generators = spawn(torch.Generator().manual_seed(0), 1)
    with pytest.raises(MemoryError, match="to draw images of 3 x 5 at once"):
        ascend(denoise, torch.zeros(1, 1, 3, 5), generators=generators)
