"""Commands on noise: denoise, and evaluate where the model is a denoiser."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imprior.cli import terminal

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from imprior.denoisers import Denoiser
    from imprior.tasks.denoise_files import Denoised


def denoise(args: Namespace) -> int:
    """Removes the noise of images."""
    from imprior.base import require
    from imprior.denoisers import Denoiser
    from imprior.report.before_after import refuse_page
    from imprior.report.denoise import write_report
    from imprior.tasks.denoise_files import Wanted, denoise_files

    wanted = Wanted(args.sigma, args.seed, args.tile, args.ensemble)
    model, out = require(terminal.load(args), Denoiser, "denoise"), Path(args.out)
    if args.report and not args.overwrite:
        refuse_page(out)
    with terminal.bar(args, unit="file") as bar:

        def share(path: Path, done: float) -> None:
            bar.set_postfix_str(f"{path.name}, {done:.0%}")

        options = {"overwrite": args.overwrite, "progress": partial(terminal.show_file, bar)}
        run = denoise_files(model, args.files, out, wanted, share=share, **options)
    _say_results(args, run.results)
    terminal.say_skipped(args, run)
    if args.report and run.results:
        terminal.say(args, f"{write_report(run.results, wanted, out)} shows before and after")
    files = [done.record() for done in run.results]
    said = {name: args[name] for name in ("model", "sigma", "seed", "ensemble")}
    return terminal.finish(
        args, said | {"files": files, "total": _total(run.results)}, run.failures
    )


def _say_results(args: Namespace, results: Sequence[Denoised]) -> None:
    from imprior.report.tables import seconds

    compared = args.sigma is not None
    columns = "   noisy -> denoised, dB    SSIM" if compared else ""
    if results:
        terminal.say(args, f" removed      time{columns}  file")
    for done in results:
        told = f"{done.removed:8.2f}  {seconds(done.seconds):>8}"
        if done.noisy is not None and done.clean is not None:
            ssim = "–" if done.clean.ssim is None else f"{done.clean.ssim:.4f}"
            told += f"  {done.noisy.psnr:7.2f} -> {done.clean.psnr:7.2f}       {ssim:>7}"
        terminal.say(args, f"{told}  {done.file}")
    _say_notes(args, {done.path: done.notes for done in results})


def _say_notes(args: Namespace, notes: Mapping[str, Sequence[str]]) -> None:
    """Tells what there is to know of images, by their paths."""
    for note, count in Counter(note for each in notes.values() for note in each).items():
        first = next(path for path, each in notes.items() if note in each)
        others = f" and {count - 1} other{'s' * (count > 2)}" if count > 1 else ""
        terminal.say(args, f"{first}{others}: {note}")


def _total(results: Sequence[Denoised]) -> dict[str, Any]:
    """Means over the files; of figures that not every file has over those that do."""
    records = [done.record() for done in results]
    names = ("removed", "psnr", "ssim", "noisy_psnr", "noisy_ssim")
    values = {name: [r[name] for r in records if r[name] is not None] for name in names}
    means = {name: sum(found) / len(found) if found else None for name, found in values.items()}
    return {"files": len(records), **means, "seconds": sum(r["seconds"] for r in records)}


def evaluate(args: Namespace, model: Denoiser) -> int:
    """Tells how close a denoiser comes to clean images, over levels of noise."""
    from imprior.report.before_after import refuse_page
    from imprior.report.denoise import write_curves
    from imprior.tasks import evaluate_denoiser as task
    from imprior.tasks.files import Failure

    started = time.perf_counter()
    if args.out is not None:
        refuse_page(Path(args.out), "choose another --out")
    levels = _sigmas(args.sigmas or "15,25,50")
    against = task.choose([name for name in args.against.split(",") if name], args.tile)
    options = {name: args[name] for name in ("seed", "tile", "gray", "ensemble")}
    options["against"] = against
    results = task.evaluate_denoiser(model, args.files, levels, **options)
    images: list[dict[str, Any]] = []
    failures: list[Failure] = []
    columns = "  ".join(f"{name:>14.14}" for name in ("noisy", "model", *against))
    terminal.say(args, f"sigma  {columns}  dB/SSIM of")
    for result in results:
        if isinstance(result, Failure):
            failures.append(result)
            continue
        images.append(result.record())
        terminal.say(args, _figures(f"{result.sigma:g}", images[-1], result.path))
    total = task.total(images)
    for sigma, means in total.items():
        terminal.say(args, _figures(sigma, means, "all"))
    _say_notes(args, {image["path"]: image["notes"] for image in images})
    if args.out is not None and images:
        num = len({image["path"] for image in images})
        terminal.say(args, f"{write_curves(total, args.model, num, Path(args.out))} has the curves")
    record = {"model": args.model, "seed": args.seed, "data_range": 1.0}
    record["ensemble"] = args.ensemble
    record |= {"images": images, "total": total, "seconds": time.perf_counter() - started}
    return terminal.finish(args, record, failures)


def _sigmas(text: str) -> list[float]:
    try:
        return [float(level) for level in text.split(",")]
    except ValueError:
        raise ValueError(f"--sigmas {text} is not numbers, 15,25,50 for example") from None


def _figures(sigma: str, figures: Mapping[str, Any], what: str) -> str:
    from imprior.report.before_after import decibel, similarity

    found = [figures["noisy"], figures, *figures["against"].values()]
    cells = [f"{decibel(each['psnr'])}/{similarity(each['ssim'])}" for each in found]
    return f"{sigma:>5}  " + "  ".join(f"{cell:>14}" for cell in cells) + f"  {what}"
