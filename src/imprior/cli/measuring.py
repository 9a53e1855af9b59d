"""Commands that tell figures: evaluate, info."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imprior.cli import denoising, terminal

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from imprior.base import ImageModel


# Options of `evaluate` that are for one kind of model, and what they are if nobody names them.
_OF_DENOISERS = {"sigmas": None, "out": None, "seed": 0, "tile": 1024}
_OF_LIKELIHOODS = {"map": None, "half": False, "reduce_bits": False, "batch_size": 1}


def evaluate(args: Namespace) -> int:
    """Tells how well a model knows images: bits per value, or of a denoiser PSNR and SSIM."""
    from imprior.denoisers import Denoiser

    model = terminal.load(args)
    unfit = _OF_LIKELIHOODS if isinstance(model, Denoiser) else _OF_DENOISERS
    if given := [name for name, default in unfit.items() if args[name] != default]:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ValueError(f"{options}: not for a {type(model).__name__}; leave it out")
    if isinstance(model, Denoiser):
        return denoising.evaluate(args, model)
    return _evaluate(args, model)


def _evaluate(args: Namespace, model: ImageModel) -> int:
    """Tells how many bits images take under a model and under codecs, and draws where."""
    from imprior.base import LikelihoodModel, require
    from imprior.inference.symmetry import Ensemble
    from imprior.report.figures import write_surprise_map
    from imprior.tasks import codecs
    from imprior.tasks import evaluate as task
    from imprior.tasks.files import Failure

    started = time.perf_counter()
    names = codecs.choose([name for name in args.against.split(",") if name])
    likelihood = require(model, LikelihoodModel, "evaluate")
    likelihood = Ensemble(likelihood) if args.ensemble else likelihood
    options = {name: args[name] for name in ("gray", "reduce_bits", "batch_size", "device", "half")}
    images: list[dict[str, Any]] = []
    failures: list[Failure] = []
    columns = "  ".join(f"{name:>8}" for name in ("model", *names))
    terminal.say(args, f"{columns}  bits per value of")
    for result in task.evaluate(likelihood, args.files, against=names, **options):
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
    record = {"model": args.model, "likelihood": likelihood.likelihood, "ensemble": args.ensemble}
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
