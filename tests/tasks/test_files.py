"""Folders in, folders out: nothing lost, nothing redone, every failure named."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from imprior.tasks.files import Failure, Run, run_over_files


def tree(root: Path) -> list[str]:
    """All files and folders below."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def fill(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def upper(source: Path, target: Path) -> str:
    """Work that fails on what begins with "bad"."""
    text = source.read_text()
    if source.name.startswith("bad"):
        raise ValueError(f"{source.name}: is\nbad")
    target.write_text(text.upper())
    return text


def run(*paths: Path | str, out: Path, overwrite: bool = False) -> Run[str]:
    return run_over_files(paths, out, ".up", upper, takes=(".txt", ".text"), overwrite=overwrite)


def test_folders_keep_their_sub_folders(tmp_path: Path) -> None:
    names = ("b.txt", "a.text", "deep/er/c.TXT", "deep/notes.md", "two.dots.txt")
    fill(tmp_path / "in", *names)
    done = run(tmp_path / "in", out=tmp_path / "out")
    assert done.results == ["a.text", "b.txt", "deep/er/c.TXT", "two.dots.txt"]
    assert not done.skipped and not done.failures
    expected = ["a.up", "b.up", "deep", "deep/er", "deep/er/c.up", "two.dots.up"]
    assert tree(tmp_path / "out") == expected
    assert (tmp_path / "out/deep/er/c.up").read_text() == "DEEP/ER/C.TXT"


def test_suffix_may_be_that_of_the_input(tmp_path: Path) -> None:
    fill(tmp_path, "in/a.txt", "in/a.text")

    def work(*paths: Path | str, out: Path) -> Run[str]:
        takes = (".txt", ".text")
        return run_over_files(paths, out, lambda path: path.suffix, upper, takes=takes)

    assert work(tmp_path / "in", out=tmp_path / "out").results == ["in/a.text", "in/a.txt"]
    assert tree(tmp_path / "out") == ["a.text", "a.txt"]
    work(tmp_path / "in" / "a.txt", out=tmp_path / "one.txt")
    assert (tmp_path / "one.txt").read_text() == "IN/A.TXT"


def test_hidden_files_of_folders_are_not_meant(tmp_path: Path) -> None:
    fill(tmp_path / "in", "a.txt", "._a.txt", ".cache/b.txt")
    run(tmp_path / "in", out=tmp_path / "out")
    assert tree(tmp_path / "out") == ["a.up"]


def test_files_globs_and_folders_mix_and_none_is_done_twice(tmp_path: Path) -> None:
    fill(tmp_path, "in/a.txt", "in/b.txt", "in/deep/c.txt", "other.name", "more/d.txt")
    paths = (tmp_path / "other.name", f"{tmp_path}/in/*.txt", f"{tmp_path}/**/c.txt",
             tmp_path / "in/a.txt", f"{tmp_path}/mo*")  # fmt: skip
    done = run(*paths, out=tmp_path / "out")
    assert done.results == ["other.name", "in/a.txt", "in/b.txt", "in/deep/c.txt", "more/d.txt"]
    assert not done.failures
    files = ["a.up", "b.up", "in", "in/deep", "in/deep/c.up", "more", "more/d.up", "other.up"]
    assert tree(tmp_path / "out") == files


def test_a_single_file_may_name_its_output(tmp_path: Path) -> None:
    fill(tmp_path, "a.txt", "b.txt")
    assert run(tmp_path / "a.txt", out=tmp_path / "new/name.up").results == ["a.txt"]
    assert (tmp_path / "new/name.up").is_file()
    both = (tmp_path / "a.txt", tmp_path / "b.txt")
    assert run(*both, out=tmp_path / "folder.up").results == ["a.txt", "b.txt"]
    assert run(both[0], out=tmp_path / "folder.up", overwrite=True).results == ["a.txt"]
    assert tree(tmp_path / "folder.up") == ["a.up", "b.up"]


def test_a_failure_does_not_stop_the_rest(tmp_path: Path) -> None:
    fill(tmp_path / "in", "a.txt", "bad.txt", "empty/bad.txt", "z.txt")
    done = run(tmp_path / "in", tmp_path / "none", f"{tmp_path}/*.none", out=tmp_path / "out")
    assert done.results == ["a.txt", "z.txt"]
    assert done.failures == [
        Failure(str(tmp_path / "none"), "there is no such file or folder"),
        Failure(f"{tmp_path}/*.none", "matches no file"),
        Failure(str(tmp_path / "in/bad.txt"), "bad.txt: is bad"),
        Failure(str(tmp_path / "in/empty/bad.txt"), "bad.txt: is bad"),
    ]
    assert tree(tmp_path / "out") == ["a.up", "z.up"]  # no empty folder either


def test_a_folder_without_such_files_is_a_failure(tmp_path: Path) -> None:
    fill(tmp_path / "in", "a.md")
    done = run(tmp_path / "in", out=tmp_path / "out")
    reason = "the folder has no files that end in .txt, .text"
    assert done.failures == [Failure(str(tmp_path / "in"), reason)]
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_skipped_unless_told_otherwise(tmp_path: Path) -> None:
    fill(tmp_path, "in/a.txt", "in/b.txt", "out/a.up")
    done = run(tmp_path / "in", out=tmp_path / "out")
    assert done.results == ["in/b.txt"] and done.skipped == [tmp_path / "in/a.txt"]
    assert (tmp_path / "out/a.up").read_text() == "out/a.up"
    done = run(tmp_path / "in", out=tmp_path / "out", overwrite=True)
    assert done.results == ["in/a.txt", "in/b.txt"] and not done.skipped
    assert (tmp_path / "out/a.up").read_text() == "IN/A.TXT"


@pytest.mark.parametrize("overwrite", [False, True])
def test_no_two_inputs_share_an_output(tmp_path: Path, overwrite: bool) -> None:
    fill(tmp_path, "in/a.text", "in/a.txt")
    done = run(tmp_path / "in", out=tmp_path / "out", overwrite=overwrite)
    assert done.results == ["in/a.text"]
    assert [failure.path for failure in done.failures] == [str(tmp_path / "in/a.txt")]
    assert f"is the output of {tmp_path}/in/a.text already" in done.failures[0].reason


@pytest.mark.parametrize("overwrite", [False, True])
def test_no_output_replaces_its_input(tmp_path: Path, overwrite: bool) -> None:
    fill(tmp_path, "a.up")
    done = run(tmp_path / "a.up", out=tmp_path, overwrite=overwrite)
    assert not done.results and not done.skipped
    assert done.failures[0].reason.startswith("the output would replace the input")
    assert (tmp_path / "a.up").read_text() == "a.up"


def test_an_output_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    fill(tmp_path, "in/a.txt", "file")
    done = run(tmp_path / "in", out=tmp_path / "file")
    assert not done.results
    assert str(tmp_path / "file") in done.failures[0].reason
    assert (tmp_path / "file").read_text() == "file"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out"), "No space left on device (out)"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_errors_of_the_machine_are_failures(tmp_path: Path, error: Exception, reason: str) -> None:
    fill(tmp_path, "a.txt", "b.txt")

    def work(source: Path, target: Path) -> None:
        raise error

    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    done = run_over_files(paths, tmp_path / "out", ".up", work, takes=())
    assert [failure.reason for failure in done.failures] == [reason] * 2
    assert not (tmp_path / "out").exists()


def test_mistakes_of_the_program_are_not_hidden(tmp_path: Path) -> None:
    fill(tmp_path, "a.txt")

    def work(source: Path, target: Path) -> None:
        raise TypeError

    with pytest.raises(TypeError):
        run_over_files([tmp_path / "a.txt"], tmp_path / "out", ".up", work, takes=())
    assert not (tmp_path / "out").exists()


def test_progress_is_told_before_each_file(tmp_path: Path) -> None:
    fill(tmp_path, "a.txt", "b.txt")
    told: list[tuple[int, int, str]] = []
    run_over_files(
        [tmp_path], tmp_path / "out", ".up", upper, takes=(".txt",),
        progress=lambda done, total, path: told.append((done, total, path.name)),
    )  # fmt: skip
    assert told == [(0, 2, "a.txt"), (1, 2, "b.txt")]
