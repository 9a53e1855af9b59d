"""Inpainting writes what it says, refuses what would be lost, and goes on when interrupted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from imprior.data.formats.raster import Metadata
from imprior.data.images import Image, read, write
from imprior.tasks import unfinished
from imprior.tasks.holes import hole_of_box
from imprior.tasks.inpaint import Filling, Inpainting
from imprior.tasks.inpaint_files import Inpainted, Progress, inpaint_files
from tests.toys import Toy, ToyConfig

HOLE = hole_of_box("4,3,5,6", (16, 18))
FILLING = Filling(epochs=4)


def picture(channels: int = 1, bits: int = 8, name: str = "x.png") -> Image:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(2**bits, (channels, 16, 18), generator=generator)
    return Image(pixels, bits, Metadata(resolution=(72.0, 72.0)), channels in (2, 4), name)


def run(
    image: Image, out: Path, filling: Filling = FILLING, **options: object
) -> Inpainted[Inpainting]:
    model = Toy(ToyConfig(len(image.pixels), image.bits))
    return inpaint_files(model, image, HOLE, out, filling, **options)  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def press_after(steps: int) -> Callable[[Progress], None]:
    """Ctrl-C after some calls."""
    left = iter(range(steps))

    def press(_: Progress) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    return press


@pytest.mark.parametrize(
    ("name", "suffix"), [("x.png", ".png"), ("x.jpg", ".png"), ("x.tif", ".tif"), ("", ".png")]
)
@pytest.mark.parametrize(("channels", "bits"), [(1, 8), (3, 12), (4, 8)])
def test_files_keep_known_pixels_depth_and_resolution(
    tmp_path: Path, name: str, suffix: str, channels: int, bits: int
) -> None:
    image = picture(channels, bits, name)
    result = run(image, tmp_path / "new", Filling("draw"), num=2)
    assert sorted(contents(tmp_path / "new")) == [f"000{suffix}", f"001{suffix}", f"best{suffix}"]
    assert result.best is not None and result.best.name == f"best{suffix}"
    assert result.mean is None and not result.notes
    for path in (*result.files, result.best):
        written = read(path)
        assert torch.equal(written.pixels[:, ~HOLE], image.pixels[:, ~HOLE])
        assert not torch.equal(written.pixels, image.pixels)
        assert written.bits == bits and written.metadata.resolution == pytest.approx(
            (72.0, 72.0), rel=1e-3
        )


def test_five_channels_need_tiff(tmp_path: Path) -> None:
    assert run(picture(5), tmp_path, Filling("draw")).files[0].name == "000.tiff"


def test_filling_does_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    run(picture(), tmp_path / "one"), run(picture(), tmp_path / "two", num=2)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one["000.png"] == two["000.png"] != two["001.png"]


def test_progress_is_told_after_each_epoch(tmp_path: Path) -> None:
    told: list[Progress] = []
    result = run(picture(), tmp_path, num=2, progress=told.append)
    shares = [(e + 1) / 5 for e in range(5)]
    expected = [(s, share) for s in (0, 1) for share in shares]
    assert [(at.sample, at.stage.share) for at in told] == expected
    assert all(at.num == 2 and at.stage.notable for at in told)
    for epoch, (at, value) in enumerate(zip(told, result.fillings[0].log_probs, strict=False)):
        assert at.stage.text.startswith(f"epoch {epoch} of 4: log-probability {value:.1f} nats")
    for at, rate in zip(told[6:], result.fillings[1].acceptances, strict=True):
        assert at.stage.text.endswith(f", {rate:.1%} accepted")


@pytest.mark.parametrize("steps", [1, 4, 6, 9])
def test_interrupted_run_keeps_the_best_and_goes_on_to_the_same_files(
    tmp_path: Path, steps: int
) -> None:
    run(picture(), tmp_path / "whole", num=2)
    out = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt, match=r"the best image so far is .*best\.png"):
        run(picture(), out, num=2, progress=press_after(steps))
    kept = read(out / "best.png").pixels
    assert torch.equal(kept[:, ~HOLE], picture().pixels[:, ~HOLE])
    told: list[Progress] = []
    run(picture(), out, num=2, progress=told.append)
    assert len(told) < 10 + 1, "what was done is not done again"
    assert contents(out) == contents(tmp_path / "whole")


def test_killed_run_goes_on_from_what_was_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(picture(), tmp_path / "whole")
    monkeypatch.setattr(unfinished, "SECONDS_BETWEEN_SAVES", 0.0)

    def die(at: Progress) -> None:
        if at.stage.text.startswith("epoch 2 "):
            raise SystemExit

    with pytest.raises(SystemExit):
        run(picture(), tmp_path / "cut", progress=die)
    assert list(contents(tmp_path / "cut")) == [".inpainting"]
    told: list[Progress] = []
    run(picture(), tmp_path / "cut", progress=told.append)
    assert [at.stage.text[:7] for at in told] == ["epoch 2", "epoch 3", "epoch 4"]
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_interrupted_before_anything_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Toy, "conditionals", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(picture(), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_another_run_does_not_take_over_an_unfinished_one(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(picture(), tmp_path, progress=press_after(2))
    before = contents(tmp_path)
    for image, options in (
        (picture(), {"seed": 1}),
        (picture(), {"filling": replace(FILLING, epochs=5)}),
        (replace(picture(), pixels=255 - picture().pixels), {}),
    ):
        with pytest.raises(ValueError, match="holds an unfinished inpainting of another image"):
            run(image, tmp_path, **options)
    assert contents(tmp_path) == before
    run(picture(), tmp_path, seed=1, overwrite=True)
    assert sorted(contents(tmp_path)) == ["000.png", "best.png"]


def test_damaged_state_is_told(tmp_path: Path) -> None:
    (tmp_path / ".inpainting").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="is damaged: delete it to start afresh"):
        run(picture(), tmp_path)


@pytest.mark.parametrize("name", ["000.png", "best.png", "mean.png", "index.html", "deviation.png"])
def test_nothing_is_replaced_unasked(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(ValueError, match=f"{name} is there already"):
        run(picture(), tmp_path)
    assert contents(tmp_path) == {name: b"precious"}
    run(picture(), tmp_path, Filling("draw"), overwrite=True)
    assert read(tmp_path / "000.png").bits == 8


def test_output_that_is_a_file_and_no_fillings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("precious")
    with pytest.raises(ValueError, match="out is a file: --out names a folder"):
        run(picture(), tmp_path / "out")
    with pytest.raises(ValueError, match="number of fillings must be at least 1, got 0"):
        run(picture(), tmp_path / "new", num=0)
    assert not (tmp_path / "new").exists()


def test_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fillings are saved before their images are written: the same call only writes."""
    from imprior.tasks import inpaint_files as module

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "write", full)
        with pytest.raises(OSError, match="No space"):
            run(picture(), tmp_path / "out")
    told: list[Progress] = []
    result = run(picture(), tmp_path / "out", progress=told.append)
    assert not told and result.files[0].exists()


def test_record_holds_the_figures(tmp_path: Path) -> None:
    write(tmp_path / "x.png", picture())
    result = run(replace(picture(), path=str(tmp_path / "x.png")), tmp_path / "out", num=2)
    record = result.record()
    assert record["missing_pixels"] == 30 and record["filling"]["epochs"] == 4
    for told, done, path in zip(record["fillings"], result.fillings, result.files, strict=True):
        assert told["path"] == str(path) and told["log_probs"] == list(done.log_probs)
        assert len(told["acceptances"]) == 4 and told["seconds"] > 0
