"""The `datasets` library, which comes with the extra `hub`: streams of records from it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def library() -> Any:
    """The library.

    Raises:
        ValueError: If it is not installed.
    """
    try:
        import datasets
        import datasets.distributed
    except ImportError:
        raise ValueError(
            "streams of images need the datasets library: pip install 'imprior[hub]'"
        ) from None
    return datasets


def load(what: str, *names: str | None, **options: Any) -> Any:
    """Opens a stream of records: nothing is stored.

    Arguments:
        what: What it is of, for people.
        names, options: Of `datasets.load_dataset`.

    Raises:
        ValueError: If that fails.
    """
    load_dataset = library().load_dataset
    try:
        with _quiet():
            return load_dataset(*names, streaming=True, **options)
    except Exception as error:  # the library lets through whatever those below it raise
        raise ValueError(f"{what} cannot be streamed: {reason(error)}") from error


def shuffled(records: Any, seed: int, buffer: int) -> Any:
    """The records of a stream, with its shards and `buffer` records at a time shuffled."""
    options = {"seed": seed, "buffer_size": buffer}
    try:  # by default newer versions hold parts of 10 shards at a time, gigabytes of images
        return records.shuffle(**options, max_buffer_input_shards=1)
    except TypeError:
        return records.shuffle(**options)


def reason(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps to themselves what the libraries log of every attempt to reach the hub."""
    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
