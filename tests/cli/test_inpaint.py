"""`imprior inpaint`: fillings, known pixels as they were, holes that cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from imprior.cli import terminal
from imprior.data.images import Image, read, write
from tests.cli.given import Run, colourful, interrupted_after, tree


def test_inpaint_writes_fillings_figures_and_a_page(
    run: Run, model: Path, photos: Path, tmp_path: Path
) -> None:
    out, mask = tmp_path / "out", tmp_path / "mask.png"
    pixels = torch.zeros(1, 10, 12, dtype=torch.int64)
    pixels[:, 4:7, 3:8] = 255
    write(mask, Image(pixels, bits=8))
    words = ("inpaint", photos / "a.png", "--model", model, "--out", out, "--samples", 2)
    status, said, _ = run(*words, "--mask", mask, "--epochs", 3, "--json", tmp_path / "f.json")
    assert status == 0 and "epoch 3 of 3" in said and "% accepted" in said
    names = ["000.png", "001.png", "best.png", "deviation.png", "index.html"]
    assert sorted(tree(out)) == names
    known = pixels == 0
    for name in ("000.png", "001.png"):
        filled = read(out / name).pixels
        assert torch.equal(filled[known], read(photos / "a.png").pixels[known])
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["missing_pixels"] == 15 and len(figures["fillings"][1]["acceptances"]) == 3
    first = tree(out)
    assert run(*words, "--mask", mask, "--epochs", 3)[0] == 2
    boxed = ("--box", "3,4,5,3", "--epochs", 3, "--overwrite", "--quiet")
    assert run(*words, *boxed) == (0, "", "")
    assert {name: tree(out)[name] for name in names[:3]} == {
        name: first[name] for name in names[:3]
    }


def test_interrupted_inpainting_keeps_the_best_image(
    run: Run, model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("inpaint", photos / "a.png", "--model", model, "--box", "2,2,3,3", "--epochs", 5)
    assert run(*words, "--out", tmp_path / "whole")[0] == 0
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(terminal, "bar", interrupted_after(3))
        status, _, err = run(*words, "--out", out)
    best = out / "best.png"
    kept = f"interrupted; the best image so far is {best}; the same command goes on from there"
    assert (status, err) == (130, f"imprior: {kept}\n")
    assert read(best).pixels.shape == (1, 10, 12)
    assert run(*words, "--out", out)[0] == 0
    pictures = {"000.png", "best.png"}
    done, whole = tree(out), tree(tmp_path / "whole")
    assert {done[name] for name in pictures} == {whole[name] for name in pictures}


def test_holes_that_cannot_be_are_status_2(
    run: Run, model: Path, photos: Path, tmp_path: Path
) -> None:
    image, mask = photos / "a.png", tmp_path / "mask.png"
    write(mask, Image(torch.zeros(1, 10, 12, dtype=torch.int64), bits=8))
    colourful(tmp_path / "colour.png")
    for path, hole, named in (
        (image, ("--mask", mask), "black everywhere"),
        (image, ("--mask", tmp_path / "colour.png"), "a mask is as large as its image"),
        (image, ("--mask", tmp_path / "none.png"), "none.png"),
        (image, ("--box", "8,8,5,1"), "not inside the image of 12 x 10"),
        (image, ("--box", "0,0,12,10"), "covers the whole image"),
        (tmp_path / "colour.png", ("--box", "0,0,1,1"), "--gray"),
        (image, ("--box", "0,0,1,1", "--samples", 0), "at least 1, got 0"),
        (image, ("--box", "0,0,1,1", "--method", "map"), "Differentiable"),
        (image, ("--box", "0,0,1,1", "--seed", -1), "seed"),
    ):
        status, _, err = run("inpaint", path, "--model", model, "--out", tmp_path / "o", *hole)
        assert status == 2 and named in err and len(err.splitlines()) == 1, err
    assert not (tmp_path / "o").exists()
