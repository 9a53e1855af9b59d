"""Commands that make images smaller, and restore them: compress, decompress."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from imprior.cli import terminal

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from imprior.tasks.compress import Compressed
    from imprior.tasks.files import Run


def compress(args: Namespace) -> int:
    """Makes images smaller without loss."""
    from imprior.tasks.compress import compress_files

    return _over_files(args, compress_files)


def decompress(args: Namespace) -> int:
    """Restores compressed images, bit for bit."""
    from imprior.tasks.compress import decompress_files

    return _over_files(args, partial(decompress_files, suffix=f".{args.format}"))


def _over_files(args: Namespace, work: Callable[..., Run[Compressed]]) -> int:
    from imprior.base import ExactModel, require
    from imprior.report import tables
    from imprior.tasks.compress import total

    model = require(terminal.load(args), ExactModel, "compression")
    with terminal.bar(args, unit="file") as bar:
        out, show = Path(args.out), partial(terminal.show_file, bar)
        run = work(model, args.files, out, overwrite=args.overwrite, progress=show)
    terminal.say(args, "bits/value        size      time  file")
    for done in run.results:
        size, time = tables.size(done.bytes), tables.seconds(done.seconds)
        terminal.say(args, f"{done.bits_per_dim:10.3f}  {size:>10}  {time:>8}  {done.path}")
    terminal.say_skipped(args, run)
    files = [done.record() for done in run.results]
    return terminal.finish(args, {"files": files, "total": total(run.results)}, run.failures)
