"""A lack of memory, told in one way: PyTorch has a class for it on devices only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

WORDS = ("allocate memory", "out of memory")


def is_out_of_memory(error: Exception) -> bool:
    """Whether that is what an error says."""
    known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return known or any(words in str(error) for words in WORDS)


@contextmanager
def enough_memory(doing: str) -> Iterator[None]:
    """Raises MemoryError, "there is not enough memory to DOING", where it runs out within."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryError(f"there is not enough memory to {doing}") from None
