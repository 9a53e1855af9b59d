"""The command line: one sub-command a task; each calls and prints.

Whatever a task needs is imported when its command runs, so that `imprior --help` is instant.
Exit status: 0 done, 1 some inputs failed (each named), 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from imprior.arguments import overview, parser_of
from imprior.cli import coding, denoising, drawing, learning, measuring, terminal

if TYPE_CHECKING:
    from jsonargparse import Namespace


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status."""
    command, *words = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    if command not in COMMANDS:
        overview().parse_args([command])  # exits
    parser = parser_of(command, words)
    args = parser.parse_args(words)
    try:
        return COMMANDS[command](parser.instantiate(args))
    except KeyboardInterrupt as error:
        kept = f"; {error}" if str(error) else ""
        goes_on = command in ("train", "texture") or (command == "inpaint" and bool(kept))
        terminal.complain(f"interrupted{kept}" + "; the same command goes on from there" * goes_on)
        return 130
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        terminal.complain(f"{error.strerror or error}{where}")
        return 1
    except (ValueError, MemoryError) as error:
        terminal.complain(str(error) or type(error).__name__)
        return 2


COMMANDS: dict[str, Callable[[Namespace], int]] = {
    "train": learning.train,
    "evaluate": measuring.evaluate,
    "sample": drawing.sample,
    "inpaint": drawing.inpaint,
    "denoise": denoising.denoise,
    "upscale": drawing.upscale,
    "texture": learning.texture,
    "compress": coding.compress,
    "decompress": coding.decompress,
    "info": measuring.info,
    "demo": learning.demo,
}
