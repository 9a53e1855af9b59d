"""What tests of streams share."""

from __future__ import annotations

import pytest

from imprior.data import named


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library waits 5 seconds after shuffled Parquet files, for the threads of large ones."""
    datasets = pytest.importorskip("datasets", reason="needs the extra [hub]")
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0, raising=False)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """No shards are small enough to be kept in memory."""
    monkeypatch.setattr(named, "SMALL_BYTES", 0)
