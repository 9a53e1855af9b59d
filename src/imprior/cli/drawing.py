"""Commands that draw from a model: sample, inpaint, upscale."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from imprior.arguments import size
from imprior.cli import terminal

if TYPE_CHECKING:
    from jsonargparse import Namespace


def sample(args: Namespace) -> int:
    """Draws images: one file each, and a sheet of them all."""
    from imprior.base import Sampler, require
    from imprior.tasks.sample import sample_files

    model = require(terminal.load(args), Sampler, "sample")
    options = {name: args[name] for name in ("seed", "temperature", "overwrite")}
    files = sample_files(model, Path(args.out), size(args.size), args.num, **options)
    done = [str(path) for path in terminal.bar(args, files, total=args.num + 1)]
    terminal.say(args, f"{done[-1]} shows all {args.num} images")
    said = {name: args[name] for name in ("model", "size", "seed", "temperature")}
    return terminal.finish(args, said | {"files": done}, [])


def inpaint(args: Namespace) -> int:
    """Fills a hole in an image, several times if asked to."""
    from imprior.base import LikelihoodModel, require
    from imprior.report.inpainting import write_report
    from imprior.tasks.holes import read_with_hole
    from imprior.tasks.inpaint import Filling
    from imprior.tasks.inpaint_files import Progress, inpaint_files

    filling = Filling(args.method, args.epochs, flip=args.flip)
    model = require(terminal.load(args), LikelihoodModel, "inpaint")
    how = {name: args[name] for name in ("mask", "box", "gray", "reduce_bits")}
    image, hole = read_with_hole(args.image, model, **how)
    with terminal.bar(args) as bar:

        def show(at: Progress) -> None:
            bar.total, bar.n = at.num * (at.epochs + 1), at.sample * (at.epochs + 1) + at.epoch + 1
            rate = "" if at.acceptance is None else f", {at.acceptance:.1%} accepted"
            where = f"filling {at.sample + 1} of {at.num}, epoch {at.epoch} of {at.epochs}"
            kind = "log-density" if args.method == "map" else "log-probability"
            terminal.tell(args, bar, f"{where}: {kind} {at.log_prob:.1f} nats{rate}")

        options = {"num": args.samples, "seed": args.seed, "overwrite": args.overwrite}
        options |= {"progress": show}
        result = inpaint_files(model, image, hole, Path(args.out), filling, **options)
    terminal.say(args, f"{write_report(result, Path(args.out))} shows what was filled in")
    return terminal.finish(args, {"model": args.model, **result.record()}, [])


def upscale(args: Namespace) -> int:
    """Draws larger images from what the given ones could be."""
    from imprior.base import Multiscale, require
    from imprior.report.tables import seconds
    from imprior.report.upscale import write_report
    from imprior.tasks.upscale_files import Wanted, upscale_files

    names = ("seed", "temperature", "gray", "reduce_bits")
    wanted = Wanted(args.scale, args.samples, **{name: args[name] for name in names})
    model, out = require(terminal.load(args), Multiscale, "upscale"), Path(args.out)
    with terminal.bar(args, unit="file") as bar:

        def drawn(path: Path, index: int) -> None:
            bar.set_postfix_str(f"{path.name}, sample {index + 1} of {wanted.num}")

        options = {"overwrite": args.overwrite, "progress": partial(terminal.show_file, bar)}
        run = upscale_files(model, args.files, out, wanted, drawn=drawn, **options)
    terminal.say(args, "height x width      time  spread  file")
    for done in run.results:
        _, height, width = done.shape
        spread = "" if done.mean_deviation is None else f"{done.mean_deviation:.2f}"
        told = f"{height:6} x {width:<5}  {seconds(done.seconds):>8}  {spread:>6}  {done.files[0]}"
        terminal.say(args, told)
    terminal.say_skipped(args, run)
    if args.report and run.results:
        terminal.say(args, f"{write_report(run.results, wanted, out)} shows what was drawn")
    said = {name: args[name] for name in ("model", "scale", "samples", "seed", "temperature")}
    files = [done.record() for done in run.results]
    return terminal.finish(args, said | {"files": files}, run.failures)
