"""Tasks that make images of images, file by file, and may tell of it on a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict, Unpack

from imprior.data import images
from imprior.tasks.files import Progress, Result, Run, run_over_files

PAGE = "index.html"
"""The report, in the folder of the outputs."""


class Options(TypedDict, total=False):
    """What all of these tasks pass on to `run_over_files`."""

    overwrite: bool
    progress: Progress | None


def over_images(
    paths: Sequence[str | Path],
    out: Path,
    suffix: str | Callable[[Path], str],
    work: Callable[[Path, Path], Result],
    **options: Unpack[Options],
) -> Run[Result]:
    """Does some work on each image file; see `run_over_files`."""
    return run_over_files(paths, out, suffix, work, takes=images.SUFFIXES, **options)
