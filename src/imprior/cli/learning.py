"""Commands that learn: train, texture, demo."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from imprior.arguments import size
from imprior.cli import terminal

if TYPE_CHECKING:
    from jsonargparse import Namespace


def train(args: Namespace) -> int:
    """Learns a model from images."""
    from imprior.checkpoint import CONFIG
    from imprior.data.named import find
    from imprior.presets import PRESETS
    from imprior.train.training import train

    preset = PRESETS[args.preset]
    gray, reduce = args.gray or preset.data.gray, args.reduce_bits or preset.data.reduce_bits
    images = dataclasses.replace(preset.data, gray=gray, reduce_bits=reduce)
    preset = dataclasses.replace(preset, config=args.config, training=args.training, data=images)
    out = Path(args.out)
    if (out / CONFIG).exists() and not args.overwrite:
        raise ValueError(f"{out} holds a model already: choose another --out, or --overwrite")
    if not args.data:
        raise ValueError(_what_data(args.preset, preset.data_set))
    data = find(args.data)
    how = {name: args[name] for name in ("seed", "device", "start", "level")}
    how["resume"] = not args.restart
    with terminal.bar(args) as bar:
        show = partial(terminal.show, args, bar)
        train(preset, data, out, progress=show, **how)
    if args.level is None:
        terminal.say(args, f"{out} is ready; imprior info {out} says what it is")
    else:
        joins = f"without --level the same command joins all levels to {out}"
        terminal.say(args, f"{args.level} is trained; {joins}")
    return 0


def _what_data(preset: str, data_set: str | None) -> str:
    """What to say to those who give no data."""
    told = f"; {preset} was published for {data_set}" if data_set else ""
    return f"--data is missing: images, shards or the name of a data set{told}"


def texture(args: Namespace) -> int:
    """Learns one texture and draws more of its kind."""
    from imprior.report.texture import write_report
    from imprior.tasks.texture import Wanted, read_texture
    from imprior.tasks.texture_files import synthesize

    wanted = Wanted(size(args.size), args.samples, args.seed, args.temperature)
    image, presets = read_texture(Path(args.image), args.preset, gray=args.gray)
    out, options = Path(args.out), {name: args[name] for name in ("device", "overwrite")}
    with terminal.bar(args) as bar:
        show = partial(terminal.show, args, bar)
        result = synthesize(image, presets, out, wanted, progress=show, **options)
    for name, bits in result.bits_per_dim().items():
        terminal.say(args, f"{bits:.3f} bits per held-out value with {name}")
    terminal.say(args, f"{write_report(result, out)} shows the texture beside what was drawn")
    return terminal.finish(args, result.record(), [])


def demo(args: Namespace) -> int:
    """Learns from photographs, then shows in a report what was learnt."""
    from imprior.report.demo import demo

    with terminal.bar(args, bar_format="{desc}  {elapsed}") as bar:
        tell = partial(terminal.tell, args, bar)
        page = demo(Path(args.out), quick=args.quick, seed=args.seed, progress=tell)
    terminal.say(args, f"{page} is ready: open it in a browser")
    return 0
