"""All that is made of one image: samples, their mean and spread, the least-squares answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from imprior.base import Multiscale
from imprior.data.images import Image, write
from imprior.inference.synthesis import Moment
from imprior.tasks.denoise import Quality
from imprior.tasks.shrink import compare, crop, phase, shrink
from imprior.tasks.upscale import Spread, check_arguments, expected, upscale


@dataclass(frozen=True)
class Wanted:
    """What to make of each image.

    Attributes:
        factor, seed, temperature: As `upscale` takes them.
        num: How many samples; 0 if `mean` is all that is wanted.
        gray, reduce_bits: As in `data.loading.match`, before anything else.
        mean: Whether to make also the least-squares answer, `expected`.
        shrink: Whether to make the image smaller first, and to compare with it.

    Raises:
        ValueError: If a number is out of range.
    """

    factor: int = 2
    num: int = 1
    seed: int = 0
    temperature: float = 1.0
    gray: bool = False
    reduce_bits: bool = False
    mean: bool = False
    shrink: bool = False

    def __post_init__(self) -> None:
        num = 1 if self.mean and self.num == 0 else self.num
        check_arguments(self.factor, num, self.seed, self.temperature)

    def names(self) -> list[str]:
        """What is made: numbers of samples, "mean" and "deviation" of several; "expected"; "small".

        Example:
            >>> Wanted(num=2, shrink=True).names()
            ['000', '001', 'mean', 'deviation', 'small']
        """
        names = [f"{index:03d}" for index in range(self.num)]
        names += ["mean", "deviation"] * (self.num > 1)
        return names + ["expected"] * self.mean + ["small"] * self.shrink


@dataclass(frozen=True)
class Made:
    """What is known of the images that were made.

    Attributes:
        size: Their height and width.
        mean_deviation: Of several samples the mean of their standard deviation, in grey levels.
        quality: How close to an image that was made smaller come "sample", the first; "mean", of
            several; "expected"; "bicubic"; "nearest": all as files hold them.
        notes: What to know about them, in sentences.
    """

    size: tuple[int, int]
    mean_deviation: float | None = None
    quality: Mapping[str, Quality] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def make(
    model: Multiscale,
    image: Image,
    wanted: Wanted,
    files: Mapping[str, Path],
    *,
    drawn: Callable[[int], object] = lambda _: None,
    watch: Callable[[int, Moment], object] = lambda *_: None,
) -> Made:
    """Makes larger images and writes each when it is there.

    Arguments:
        model: That takes the image.
        wanted: What to make.
        files: Where to, for each of its `names`; depth and metadata are those of the image.
        drawn: Called after each sample with its number from 0.
        watch: Is told of every iteration where details are drawn by ascent, with that number.

    Raises:
        ValueError: If the model cannot do it, or the image is smaller than it is to be shrunk.
        OSError: If a file cannot be written.
    """
    factor, bits, given = wanted.factor, image.bits, image.pixels

    def save(name: str, x: Tensor) -> None:
        write(files[name], replace(image, pixels=x))

    if wanted.shrink:
        clean = crop(given, factor)
        given = shrink(model, clean, bits, factor)
        save("small", given)
    made, spread, notes = _samples(model, given, bits, wanted, save, drawn, watch)
    deviation = spread.deviation if wanted.num > 1 else None
    if deviation is not None:
        made["mean"] = _levels(spread.mean, bits)
        save("mean", made["mean"])
        save("deviation", _levels(deviation, bits))
    if wanted.mean:
        made["expected"] = expected(model, given, factor, bits=bits, seed=wanted.seed)
        save("expected", made["expected"])
    height, width = given.shape[1:]
    return Made(
        (factor * height, factor * width),
        None if deviation is None else float(deviation.mean()),
        compare(clean, made, given, bits, factor, phase(model, factor)) if wanted.shrink else {},
        tuple(notes),
    )


def _samples(
    model: Multiscale,
    given: Tensor,
    bits: int,
    wanted: Wanted,
    save: Callable[[str, Tensor], None],
    drawn: Callable[[int], object],
    watch: Callable[[int, Moment], object],
) -> tuple[dict[str, Tensor], Spread, list[str]]:
    """Saves the samples; the first, by its name in `Made.quality`, their spread, and notes."""
    spread = Spread()
    first: dict[str, Tensor] = {}
    notes: list[str] = []

    def tell(at: Moment) -> None:
        watch(spread.num, at)
        if at.trouble:
            notes.append(f"sample {spread.num + 1}, scale {at.scale}: {at.trouble}")

    samples = upscale(
        model, given, wanted.factor, wanted.num,
        bits=bits, seed=wanted.seed, temperature=wanted.temperature, watch=tell,
    )  # fmt: skip
    for index, x in enumerate(samples if wanted.num else ()):
        save(f"{index:03d}", x)
        spread.add(x)
        first.setdefault("sample", x)
        drawn(index)
    return first, spread, notes


def _levels(values: Tensor, bits: int) -> Tensor:
    return values.round().long().clamp_(max=2**bits - 1)
