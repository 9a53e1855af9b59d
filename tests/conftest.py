"""What every test shares: one thread, fixed seeds, and where the real images are."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _fixed_seeds() -> None:
    """Library code draws from its own generators; this is for what a test draws itself."""
    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real images: `IMPRIOR_DATA`, else `../shared/data` if there is one."""
    root = Path(os.environ.get("IMPRIOR_DATA", ROOT.parent / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"needs real images: {root} is not a folder (set IMPRIOR_DATA)")
    return root
