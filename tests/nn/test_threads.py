"""The number of threads is one inside, and afterwards what it was."""

from __future__ import annotations

import pytest
import torch

from imprior.nn.threads import single_thread


def test_threads_are_restored_even_after_an_error() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyError), single_thread():
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
