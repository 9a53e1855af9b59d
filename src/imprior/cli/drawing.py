"""Commands that draw from a model: sample, inpaint, upscale."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imprior.arguments import size
from imprior.cli import terminal

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from imprior.inference.synthesis import Moment
    from imprior.tasks.upscale_files import Upscaled


def sample(args: Namespace) -> int:
    """Draws images: one file each, and a sheet of them all."""
    from imprior.tasks.sample import sample_files

    model = terminal.load(args)
    troubles: list[str] = []
    done: list[str] = []
    with terminal.bar(args, total=args.num + 1, unit="file") as bar:

        def watch(index: int, at: Moment) -> None:
            bar.set_postfix_str(_how_far(at))
            if at.trouble:
                troubles.append(f"image {index + 1}, scale {at.scale}: {at.trouble}")

        options = {name: args[name] for name in ("seed", "temperature", "overwrite")}
        options |= {"watch": watch}
        for path in sample_files(model, Path(args.out), size(args.size), args.num, **options):
            done.append(str(path))
            bar.update()
    for trouble in troubles:
        terminal.say(args, trouble)
    terminal.say(args, f"{done[-1]} shows all {args.num} images")
    said = {name: args[name] for name in ("model", "size", "seed", "temperature")}
    return terminal.finish(args, said | {"files": done, "notes": troubles}, [])


def _how_far(at: Moment) -> str:
    """How far an image is, for the bar."""
    return f"scale {at.scale}, step {at.iteration}, noise {at.sigma:.3f}"


def inpaint(args: Namespace) -> int:
    """Fills a hole in an image, several times if asked to."""
    from imprior.report.ascents import comparison_table
    from imprior.report.inpainting import write_report
    from imprior.tasks.holes import read_with_hole
    from imprior.tasks.inpaint_choice import choose
    from imprior.tasks.inpaint_files import Inpainted, Progress, inpaint_files
    from imprior.tasks.inpaint_quality import compare

    model, out = terminal.load(args), Path(args.out)
    filling = choose(model, args.method, epochs=args.epochs, flip=args.flip)
    how = {name: args[name] for name in ("mask", "box", "known", "seed", "gray", "reduce_bits")}
    image, hole = read_with_hole(args.image, model, **how)
    with terminal.bar(args, unit="%") as bar:

        def show(at: Progress) -> None:
            bar.total, bar.n = 100 * at.num, round(100 * (at.sample + at.stage.share))
            if at.stage.notable or not bar.disable:
                where = f"filling {at.sample + 1} of {at.num}"
                terminal.tell(args, bar, f"{where}, {at.stage.text}")

        options = {"num": args.samples, "seed": args.seed, "overwrite": args.overwrite}
        options |= {"progress": show}
        result: Inpainted[Any] = inpaint_files(model, image, hole, out, filling, **options)
    for note in result.notes:
        terminal.say(args, f"{args.image}: {note}")
    compared = compare(result) if args.compare else None
    if compared is not None:
        terminal.say(args, comparison_table(result, compared).text())
    page = write_report(result, out, compared)
    terminal.say(args, f"{page} shows what was filled in")
    figures = {"compared": None if compared is None else compared.record()}
    return terminal.finish(args, {"model": args.model, **result.record(), **figures}, [])


def upscale(args: Namespace) -> int:
    """Draws larger images from what the given ones could be."""
    from imprior.base import Multiscale, require
    from imprior.report.before_after import refuse_page
    from imprior.report.upscale import write_report
    from imprior.tasks.enlargement import Wanted
    from imprior.tasks.upscale_files import total, upscale_files

    names = ("seed", "temperature", "gray", "reduce_bits", "mean", "shrink")
    wanted = Wanted(args.scale, args.samples, **{name: args[name] for name in names})
    model, out = require(terminal.load(args), Multiscale, "upscale"), Path(args.out)
    if args.report and not args.overwrite:
        refuse_page(out)
    with terminal.bar(args, unit="file") as bar:

        def drawn(path: Path, index: int) -> None:
            bar.set_postfix_str(f"{path.name}, sample {index + 1} of {wanted.num}")

        def watch(path: Path, index: int, at: Moment) -> None:
            where = f"{path.name}, sample {index + 1} of {wanted.num}"
            bar.set_postfix_str(f"{where}, {_how_far(at)}")

        options = {"overwrite": args.overwrite, "progress": partial(terminal.show_file, bar)}
        options |= {"drawn": drawn, "watch": watch}
        run = upscale_files(model, args.files, out, wanted, **options)
    _say_upscaled(args, run.results)
    terminal.say_skipped(args, run)
    if args.report and run.results:
        terminal.say(args, f"{write_report(run.results, wanted, out)} shows what was drawn")
    said = {name: args[name] for name in ("model", "scale", "samples", "seed", "temperature")}
    quality = {name: dataclasses.asdict(each) for name, each in total(run.results).items()}
    files = [done.record() for done in run.results]
    record = said | {"files": files, "total": {"files": len(files), "quality": quality}}
    return terminal.finish(args, record, run.failures)


def _say_upscaled(args: Namespace, results: Sequence[Upscaled]) -> None:
    from imprior.report.tables import seconds
    from imprior.report.upscale import quality_table

    if results:
        terminal.say(args, "height x width      time  spread  file")
    for done in results:
        _, height, width = done.shape
        spread = "" if done.mean_deviation is None else f"{done.mean_deviation:.2f}"
        told = f"{height:6} x {width:<5}  {seconds(done.seconds):>8}  {spread:>6}  {done.first}"
        terminal.say(args, told)
        for note in done.notes:
            terminal.say(args, f"{done.path}: {note}")
    if args.shrink and results:
        terminal.say(args, quality_table(results, args.samples).text())
