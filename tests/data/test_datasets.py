"""Files are found in one order, split by name, and the bundled photographs are what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from imprior.data.datasets import PHOTOGRAPHS, bundled, checksum, find_images, hold_out
from imprior.data.images import read


def fill(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def names(files: list[Path], root: Path) -> list[str]:
    return [file.relative_to(root).as_posix() for file in files]


def test_bundled_photographs_are_installed_and_as_described() -> None:
    for photograph in PHOTOGRAPHS:
        image = read(photograph.path)
        assert (len(image.pixels), image.bits, image.alpha) == (photograph.channels, 8, False)
        assert min(image.pixels.shape[1:]) >= 300
        assert photograph.licence and photograph.source


def test_bundled_photographs_are_split_for_good() -> None:
    """Whoever moves a photograph makes earlier figures incomparable."""
    assert {photograph.name for photograph in bundled("test")} == {
        "camera.png", "chelsea.png", "coffee.png",
    }  # fmt: skip
    assert {*bundled("train"), *bundled("test")} == set(PHOTOGRAPHS)
    assert not {*bundled("train")} & {*bundled("test")}


def test_no_two_bundled_photographs_show_the_same() -> None:
    thumbnails = [
        torch.nn.functional.adaptive_avg_pool2d(read(p.path).pixels.double().mean(0)[None], 8)
        for p in PHOTOGRAPHS
    ]
    correlations = torch.stack([x.flatten() for x in thumbnails]).corrcoef()
    assert float((correlations - torch.eye(len(PHOTOGRAPHS)).double()).abs().max()) < 0.9


def test_folders_are_searched_in_one_order_without_what_is_hidden(tmp_path: Path) -> None:
    fill(
        tmp_path / ".root",  # hidden itself, but asked for
        "b.PNG", "a.png", "a/z.tif", "a-b/y.webp", "notes.txt", "a/.hidden.png",
        ".git/x.png", "deep/er/c.npy", "d.jpeg",
    )  # fmt: skip
    (tmp_path / ".root" / "folder.png").mkdir()
    found = names(find_images([tmp_path / ".root"]), tmp_path / ".root")
    assert found == ["a/z.tif", "a-b/y.webp", "a.png", "b.PNG", "d.jpeg", "deep/er/c.npy"]


def test_files_globs_and_folders_mix_and_no_file_comes_twice(tmp_path: Path) -> None:
    fill(tmp_path, "one", "in/a.png", "in/b.png", "in/c.txt", "in/deep/d.png", "[x].png")
    paths: list[str | Path] = [
        tmp_path / "one",  # whatever its suffix
        f"{tmp_path}/in/[b-c].*",  # c.txt is skipped
        f"{tmp_path}/[x].png",  # a file, though it looks like a glob
        f"{tmp_path}/**/d.png",
        tmp_path / "in",
        f"{tmp_path}/i*",
    ]
    found = names(find_images(paths), tmp_path)
    assert found == ["one", "in/b.png", "[x].png", "in/deep/d.png", "in/a.png"]
    assert find_images([]) == []


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("empty", r"is a folder without images \(\.jpeg, "),
        ("none.png", "does not exist"),
        ("*.none", "matches no images"),
        ("*.txt", "matches no images"),
    ],
)
def test_what_means_no_image_is_refused(tmp_path: Path, path: str, reason: str) -> None:
    fill(tmp_path, "a.png", "a.txt", "empty/.a.png", "empty/a.txt")
    with pytest.raises(ValueError, match=reason):
        find_images([tmp_path / "a.png", tmp_path / path])


FILES = [Path(f"root/{folder}/{number:03}.png") for folder in "ab" for number in range(500)]


def test_a_file_keeps_its_side_whatever_the_others_are() -> None:
    training, validation = hold_out(FILES, 0.1, root=Path("root"))
    assert sorted([*training, *validation]) == FILES
    assert abs(len(validation) - 100) < 4 * (1000 * 0.1 * 0.9) ** 0.5
    backwards = hold_out(FILES[::-1], 0.1, root=Path("root"))
    assert (training, validation) == (backwards[0][::-1], backwards[1][::-1])
    moved = [Path("elsewhere") / file.relative_to("root") for file in FILES[300:800]]
    assert hold_out(moved, 0.1, root=Path("elsewhere"))[1] == [
        Path("elsewhere") / file.relative_to("root")
        for file in FILES[300:800]
        if file in validation
    ]
    more = hold_out(FILES, 0.3, root=Path("root"))[1]
    assert set(validation) < set(more)


def test_names_are_relative_to_a_root_or_the_last_part() -> None:
    by_name = [file.name for file in hold_out(FILES, 0.2)[1]]
    assert by_name[: len(by_name) // 2] == by_name[len(by_name) // 2 :]
    by_path = [file.name for file in hold_out(FILES, 0.2, root=Path("root"))[1]]
    assert by_path[: len(by_path) // 2] != by_path[len(by_path) // 2 :]


@pytest.mark.parametrize(("share", "side"), [(0.0, "validate"), (1.0, "train")])
def test_an_empty_side_is_refused(share: float, side: str) -> None:
    with pytest.raises(ValueError, match=f"a share of {share} of 3 files leaves none to {side} on"):
        hold_out(FILES[:3], share)


def test_a_checksum_depends_on_names_contents_and_order_alone(tmp_path: Path) -> None:
    fill(tmp_path, "a/x", "a/y")
    first = checksum([tmp_path / "a/x", tmp_path / "a/y"])
    assert len(bytes.fromhex(first)) == 32
    (tmp_path / "a").rename(tmp_path / "b")
    x, y = tmp_path / "b/x", tmp_path / "b/y"
    assert checksum([x, y]) == first
    assert checksum([y, x]) != first
    x.rename(tmp_path / "b/z")
    assert checksum([tmp_path / "b/z", y]) != first
    (tmp_path / "b/z").rename(x)
    x.write_text("a/w")
    assert checksum([x, y]) != first
