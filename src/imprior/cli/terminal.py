"""What every command shares: the model, progress, figures, words for people."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from imprior.base import ImageModel
    from imprior.tasks.files import Failure, Run
    from imprior.train.progress import Progress


def load(args: Namespace) -> ImageModel:
    """The model that a command names, on the device that it names."""
    from imprior import checkpoint

    model, device = checkpoint.load(args.model), args.get("device", "cpu")
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:  # as torch says that there is no such device
        raise ValueError(f"cannot compute on {device!r}: {str(error).splitlines()[0]}") from None


def bar(args: Namespace, *steps: Any, **options: Any) -> Any:
    """A progress bar, where someone can see it."""
    from tqdm import tqdm

    return tqdm(*steps, disable=True if args.quiet else None, leave=False, **options)


def show(args: Namespace, bar: Any, at: Progress) -> None:
    """Shows how far a training is."""
    bar.total, bar.n = at.total, at.step
    tell(args, bar, f"{at.stage}: {at.measured}" if at.measured else at.stage)


def show_file(bar: Any, done: int, total: int, path: Path) -> None:
    """Shows which of many files is worked on."""
    bar.total, bar.n = total, done
    bar.set_postfix_str(path.name)


def tell(args: Namespace, bar: Any, text: str) -> None:
    """Writes beside the bar; where nobody would see a bar, in a log for example, a line."""
    if bar.disable:
        say(args, text)
    else:
        bar.set_description_str(text)


def say_skipped(args: Namespace, run: Run[Any]) -> None:
    """Tells how many files were not done because their outputs are there."""
    if run.skipped:
        say(args, f"{len(run.skipped)} outputs were there already (--overwrite replaces them)")


def finish(args: Namespace, record: dict[str, Any], failures: Sequence[Failure]) -> int:
    """Writes the figures and names what failed; returns the exit status."""
    from imprior.data.files import replace_file

    record = record | {"failures": [dataclasses.asdict(failure) for failure in failures]}
    told = json.dumps(_finite(record), indent=2, allow_nan=False)
    if args.json == "-":
        print(told)
    elif args.json is not None:
        replace_file(Path(args.json), told.encode())
    for failure in failures:
        named = failure.reason.startswith(failure.path)
        complain(failure.reason if named else f"{failure.path}: {failure.reason}")
    return 1 if failures else 0


def _finite(value: Any) -> Any:
    """The value with null for numbers that JSON has no words for: the PSNR of equal images."""
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def say(args: Namespace, text: str) -> None:
    """Prints for people; out of the way where standard output is for a program."""
    if not args.get("quiet"):
        print(text, file=sys.stderr if args.get("json") == "-" else sys.stdout, flush=True)


def complain(text: str) -> None:
    """Prints an error, as one line."""
    print(f"imprior: {' '.join(text.split())}", file=sys.stderr)
