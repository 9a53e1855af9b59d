"""Published weights give the published results; what is no such file is refused by name."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from imprior.data.images import read, to_float
from imprior.models.local.config import NetworkConfig
from imprior.models.local.published import read_conditional, read_flat, read_local
from tests.models.local.small import assert_close

TOLERANCE = 1e-5
FIELDS = {"13x13": 13, "43x43": 43, "40x40": 41}


@pytest.fixture(scope="module")
def parity(data_root: Path) -> dict[str, Tensor]:
    arrays = np.load(data_root / "parity" / "denoisers.npz")
    return {name: torch.from_numpy(arrays[name]) for name in arrays if name != "doc"}


@pytest.fixture(scope="module")
def faces(data_root: Path) -> Path:
    return data_root / "published-denoisers" / "celebA_160x160_gray"


def scales(folder: Path) -> list[Path]:
    return sorted(path / "model.pt" for path in folder.glob("multi_scale_*_scale_*"))


# -- parity


@torch.no_grad()
def test_flat_network_finds_the_published_noise(faces: Path, parity: dict[str, Tensor]) -> None:
    model = read_flat(faces / "flat_RF_13x13" / "model.pt")
    y = parity["noisy"]
    assert_close(model.network(y), parity["flat13_residual"], TOLERANCE)
    assert_close(model.denoise(y), y - parity["flat13_residual"], TOLERANCE)
    double = model.double()
    assert_close(double.network(y.double()), parity["flat13_residual_float64"], 1e-12)


@torch.no_grad()
def test_all_scales_give_the_published_images(faces: Path, parity: dict[str, Tensor]) -> None:
    model = read_local(scales(faces), faces / "multi_scale_RF_40x40_low" / "model.pt")
    assert_close(model.low.network(parity["low_input"]), parity["low_residual"], TOLERANCE)
    for number in (0, 1):
        found = model.scale(number).network(parity[f"scale{number}_input"])
        assert_close(found, parity[f"scale{number}_residual"], TOLERANCE)
    low, _ = model.split(parity["noisy"])
    lowest, _ = model.split(low)
    assert_close(lowest, parity["low_input"], TOLERANCE)
    assert_close(model.low.denoise(lowest), parity["recon_low"], TOLERANCE)
    assert_close(model.denoise(parity["noisy"]), parity["recon_0"], TOLERANCE)


@torch.no_grad()
def test_predecessor_has_its_published_quality(data_root: Path) -> None:
    """32.57 dB on Set12 at 15 and 30.26 dB at 25, measured with the authors' code."""
    model = read_flat(
        data_root / "published-denoisers" / "BSD400_gray" / "flat_BF_CNN" / "model.pt"
    )
    assert model.config.network == NetworkConfig(20, 64, 41, first_relu=True)
    clean = to_float(read(data_root / "set12" / "01.png").pixels[None, :, :96, :96], 8)
    for sigma, least in ((15, 32.0), (25, 29.5)):
        y = clean + sigma / 255 * torch.randn_like(clean)
        error = (model.denoise(y) - clean).square().mean()
        assert -10 * float(error.log10()) > least


def test_every_published_file_is_read(data_root: Path) -> None:
    files = sorted((data_root / "published-denoisers").glob("*/*/model.pt"))
    assert len(files) >= 10
    for path in files:
        name = path.parent.name
        flat = "scale" not in name.removeprefix("multi_scale")
        model = read_flat(path) if flat else read_conditional(path)
        for part, field in FIELDS.items():
            if part in name:
                assert model.network.config.receptive_field == field
        assert model.network.config.where is None, "3×3 layers are spread evenly"


def test_three_scales_are_one_model(data_root: Path) -> None:
    folder = data_root / "published-denoisers" / "celebA_320x320_gray"
    model = read_local(scales(folder), folder / "multi_scale_RF_40x40_low" / "model.pt")
    assert len(model.scales) == 3 and model.alignment == 16


# -- other files of the family, made up


def state(
    kernels: tuple[int, ...] = (3, 1, 3), width: int = 4, ins: int = 1, outs: int = 1
) -> dict[str, Any]:
    """A state dict in the newer layout, wrapped as several devices leave it."""
    last = len(kernels) - 1
    found: OrderedDict[str, Any] = OrderedDict()
    for n, k in enumerate(kernels):
        shape = (outs if n == last else width, ins if n == 0 else width, k, k)
        found[f"module.conv_layers.{n}.weight"] = torch.randn(shape)
    for n in range(last - 1):
        found[f"module.BN_layers.{n}.running_sd"] = torch.rand(1, width, 1, 1) + 0.5
        found[f"module.BN_layers.{n}.gammas"] = torch.randn(1, width, 1, 1)
    return found


def saved(folder: Path, value: Any) -> Path:
    torch.save(value, folder / "model.pt")
    return folder / "model.pt"


def test_layout_is_read_off_the_shapes(tmp_path: Path) -> None:
    wide = read_flat(saved(tmp_path, state((1, 3, 3, 1, 3), width=5, ins=3, outs=3)))
    assert wide.channels == 3
    assert wide.config.network == NetworkConfig(5, 5, 7, (1, 2, 4))
    colour = read_conditional(saved(tmp_path, state(ins=12, outs=9)))
    assert colour.channels == 3
    nine = [3 if n in (0, 8, 16, 20) else 1 for n in range(21)]  # as published for 9×9
    assert read_flat(saved(tmp_path, state(tuple(nine)))).receptive_field == 9


def test_networks_of_one_model_have_the_same_channels(tmp_path: Path) -> None:
    for name, shape in (("low", {"ins": 3, "outs": 3}), ("scale", {"ins": 4, "outs": 3})):
        (tmp_path / name).mkdir()
        saved(tmp_path / name, state(**shape))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\[1, 3\] channels"):
        read_local([tmp_path / "scale" / "model.pt"], tmp_path / "low" / "model.pt")


FIRST = "module.conv_layers.0.weight"
CONV, SD, GAIN = (f"module.{n}" for n in ("conv_layers.1.weight", "BN_layers.0.running_sd", "x"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({CONV: None}, "numbers"),
        ({CONV: torch.zeros(4, 4, 5, 5)}, "not 1×1 or 3×3"),
        ({CONV: torch.zeros(4, 5, 3, 3)}, "width of 4"),
        ({CONV: torch.full((4, 4, 1, 1), torch.nan)}, "not finite"),
        ({CONV: torch.zeros(4, 4, 1, 1, dtype=torch.int64)}, "not finite floats"),
        ({SD: None}, "numbers"),
        ({SD: torch.zeros(1, 4, 1, 1)}, "not positive"),
        ({SD: torch.ones(1, 3, 1, 1)}, "running_sd are not 1 tensors"),
        ({"conv_layers.0.bias": torch.zeros(4)}, "conv_layers.0.bias"),
        ({"gammas.0": torch.ones(1, 4, 1, 1)}, "either BN_layers or"),
        ({CONV: "text"}, "something else than tensors"),
        ({FIRST: torch.zeros(())}, "not 1×1 or 3×3"),
        ({SD: torch.ones(1, 4, 1, 1).to_sparse()}, "not finite floats"),
    ],
)
def test_other_networks_are_refused(
    changes: dict[str, Any], reason: str, tmp_path: Path
) -> None:  # fmt: skip
    changed = {key: value for key, value in {**state(), **changes}.items() if value is not None}
    path = saved(tmp_path, changed)
    with pytest.raises(ValueError, match=reason) as caught:
        read_flat(path)
    assert str(path) in str(caught.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with pytest.raises(ValueError, match=r"model\.pt .* no such file"):
        read_flat(path)
    whole = saved(tmp_path, state()).read_bytes()
    for content in (b"", b"not weights", whole[:2000], whole[: len(whole) // 2], whole[:-9]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="damaged, or holds more"):
            read_flat(path)
    others: list[Any] = [[torch.zeros(1)], torch.zeros(1), 5, {}]
    for value in others:
        with pytest.raises(ValueError, match="no published denoiser"):
            read_flat(saved(tmp_path, value))
    with pytest.raises(ValueError, match="damaged, or holds more"):
        read_flat(saved(tmp_path, {"conv_layers.0.weight": Path("x")}))


def test_kinds_of_denoisers_are_not_mixed_up(tmp_path: Path) -> None:
    path = saved(tmp_path, state(ins=4, outs=3))
    with pytest.raises(ValueError, match=r"no denoiser of images: it makes 3 channels of 4"):
        read_flat(path)
    path = saved(tmp_path, state())
    with pytest.raises(ValueError, match=r"no conditional denoiser: it makes 1 channels of 1"):
        read_conditional(path)
