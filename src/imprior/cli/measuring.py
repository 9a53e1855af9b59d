"""Commands that tell figures: evaluate, info."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imprior.cli import terminal

if TYPE_CHECKING:
    from jsonargparse import Namespace


def evaluate(args: Namespace) -> int:
    """Tells how many bits images take under a model and under codecs, and draws where."""
    from imprior.base import LikelihoodModel, require
    from imprior.inference.symmetry import Ensemble
    from imprior.report.figures import write_surprise_map
    from imprior.tasks import codecs
    from imprior.tasks import evaluate as task
    from imprior.tasks.files import Failure

    started = time.perf_counter()
    names = codecs.choose([name for name in args.against.split(",") if name])
    model = require(terminal.load(args), LikelihoodModel, "evaluate")
    model = Ensemble(model) if args.ensemble else model
    options = {name: args[name] for name in ("gray", "reduce_bits", "batch_size", "device", "half")}
    images: list[dict[str, Any]] = []
    failures: list[Failure] = []
    columns = "  ".join(f"{name:>8}" for name in ("model", *names))
    terminal.say(args, f"{columns}  bits per value of")
    for result in task.evaluate(model, args.files, against=names, **options):
        if isinstance(result, Failure):
            failures.append(result)
            continue
        if args.map is not None:
            write_surprise_map(Path(args.map), result)
        images.append(result.record())
        terminal.say(args, _figures(result.bits_per_dim, result.codecs, names, result.path))
    total = task.total(images)
    if images:
        terminal.say(args, _figures(total["bits_per_dim"], total["codecs"], names, "all"))
    record = {"model": args.model, "likelihood": model.likelihood, "ensemble": args.ensemble}
    record |= {"half": args.half}
    record |= {"images": images, "total": total, "seconds": time.perf_counter() - started}
    return terminal.finish(args, record, failures)


def _figures(model: float, codecs: Mapping[str, float], names: Sequence[str], what: str) -> str:
    from imprior.report.tables import number

    values = [model, *(codecs.get(name) for name in names)]
    return "  ".join(f"{number(value):>8}" for value in values) + f"  {what}"


def info(args: Namespace) -> int:
    """Tells what images and models are."""
    from imprior.report.tables import description
    from imprior.tasks.files import Failure
    from imprior.tasks.info import describe

    found: list[dict[str, Any]] = []
    failures: list[Failure] = []
    for record in describe(args.files):
        if isinstance(record, Failure):
            failures.append(record)
        else:
            found.append(record)
            terminal.say(args, description(record))
    return terminal.finish(args, {"found": found}, failures)
