"""Many files in, as many files out: sub-folders kept, nothing redone, no failure stops the rest."""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

Result = TypeVar("Result")
Progress = Callable[[int, int, Path], None]


@dataclass(frozen=True)
class Failure:
    """A file that something went wrong with, and what, in one line."""

    path: str
    reason: str


@dataclass
class Run(Generic[Result]):
    """What became of the files.

    Attributes:
        results: What the work returned for each file that was done, in the order of the files.
        skipped: Files whose output was there already.
        failures: Files that could not be done, and inputs that name no file.
    """

    results: list[Result] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def run_over_files(
    paths: Sequence[str | Path],
    out: Path,
    suffix: str | Callable[[Path], str],
    work: Callable[[Path, Path], Result],
    *,
    takes: Sequence[str],
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Run[Result]:
    """Does some work on each file, one after another.

    Arguments:
        paths: Files, globs and folders; folders are searched with their sub-folders.
        out: The folder for the outputs, made if it is missing. With a single file in `paths`, a
            path that ends in `suffix` and is no folder is the output itself.
        suffix: Of the outputs, `.png` for example, or of that of an input; it takes the place of
            the input's.
        work: Reads its first argument and writes its second, wholly or not at all. Whatever it
            raises of ValueError, OSError and MemoryError is noted, and the next file is done.
        takes: Suffixes, in lower case, of the files in folders that are meant; hidden ones are not.
        overwrite: Whether to replace outputs that are there.
        progress: Called before each file with the number of files done, of all, and the file.

    Returns:
        What was done, skipped and not done.
    """
    run: Run[Result] = Run()
    of = suffix if callable(suffix) else lambda _: suffix
    pairs = list(_pairs(paths, out, of, tuple(takes), run.failures))
    first: dict[Path, Path] = {}
    for done, (source, target) in enumerate(pairs):
        if progress is not None:
            progress(done, len(pairs), source)
        try:
            _check(source, target, first.setdefault(target, source))
            if target.exists() and not overwrite:
                run.skipped.append(source)
            else:
                run.results.append(_work_in_folder(work, source, target))
        except (ValueError, OSError, MemoryError) as error:
            run.failures.append(Failure(str(source), _reason(error)))
    return run


def _check(source: Path, target: Path, first: Path) -> None:
    if first != source:
        raise ValueError(f"{target} is the output of {first} already; choose another folder")
    if target.exists() and source.exists() and os.path.samefile(source, target):
        raise ValueError("the output would replace the input; choose another folder")


def _work_in_folder(work: Callable[[Path, Path], Result], source: Path, target: Path) -> Result:
    """Does the work in a folder that is made for it, and that goes if the work fails."""
    made = [folder for folder in target.parents if not folder.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        return work(source, target)
    except BaseException:
        for folder in made:  # innermost first
            if not any(folder.iterdir()):
                folder.rmdir()
        raise


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{where}"
    return " ".join(str(error).split()) or type(error).__name__


def _pairs(
    paths: Sequence[str | Path],
    out: Path,
    suffix: Callable[[Path], str],
    takes: tuple[str, ...],
    failures: list[Failure],
) -> Iterator[tuple[Path, Path]]:
    """Each input file, once, and its output."""
    first = Path(paths[0]) if len(paths) == 1 else Path()
    if first.is_file() and not out.is_dir():
        wanted = suffix(first).lower()
        if out.suffix.lower() == wanted:
            yield first, out
            return
        if out.suffix.lower() in takes:
            raise ValueError(f"{out}: of {first} a {wanted} file is made; end --out in that")
    for source, relative in find_files(paths, takes, failures):
        yield source, out / relative.with_suffix(suffix(source))


def find_files(
    paths: Sequence[str | Path], takes: Sequence[str], failures: list[Failure]
) -> Iterator[tuple[Path, Path]]:
    """The files that inputs mean, each once.

    Arguments:
        paths: Files, globs and folders; folders are searched with their sub-folders.
        takes: Suffixes, in lower case, of the files in folders that are meant; hidden ones are not.
        failures: Inputs that name no file are added here.

    Yields:
        A file, and its name below the folder that was given, or below that part of a glob's
        folders which is without wildcards.
    """
    seen: set[Path] = set()
    for path in map(Path, paths):
        found = list(_find(path, tuple(takes)))
        if not found:
            failures.append(Failure(str(path), _why_nothing(path, tuple(takes))))
        for source, relative in found:
            if source not in seen:
                seen.add(source)
                yield source, relative


def _find(path: Path, takes: tuple[str, ...]) -> Iterator[tuple[Path, Path]]:
    """The files that an input means, and where below `out` their outputs belong."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            relative = file.relative_to(path)
            hidden = any(part.startswith(".") for part in relative.parts)
            if file.is_file() and file.suffix.lower() in takes and not hidden:
                yield file, relative
    elif path.exists():
        yield path, Path(path.name)
    else:
        base = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))
        for match in sorted(glob.glob(str(path), recursive=True)):
            if match != str(path):
                for file, _ in _find(Path(match), takes):
                    yield file, file.relative_to(base)


def _why_nothing(path: Path, takes: tuple[str, ...]) -> str:
    if path.is_dir():
        return f"the folder has no files that end in {', '.join(takes)}"
    return "matches no file" if glob.has_magic(str(path)) else "there is no such file or folder"
