"""The gates for a GPU: right in Triton's interpreter, and they compile for GPUs we do not have."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from imprior.models.ride import gates_numba, gates_plain, slstm
from imprior.models.ride.diagonals import positions
from imprior.models.ride.slstm import State
from tests.models.slstms import Size, apply, assert_close, gradients, noise, toy, variants

pytest.importorskip("triton", reason="needs Triton, which is for Linux alone")
NAME = "imprior.models.ride.gates_triton"
# The interpreter takes its time: few cells, yet all borders and more than one tile.
SIZES = [
    pytest.param(Size(1, 1, 1, 2, 3), id="cell"),
    pytest.param(Size(2, 2, 3, 1, 5), id="wide"),
    pytest.param(Size(3, 3, 2, 0, 1), id="high"),
    pytest.param(Size(1, 1, 2, 1, 131), id="units"),
]


def load(interpreted: bool) -> Iterator[ModuleType]:
    """The module with kernels made for the interpreter, or for a GPU, while it is in use."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", str(int(interpreted)))
        patch.delitem(sys.modules, NAME, raising=False)
        yield import_module(NAME)
        del sys.modules[NAME]


@pytest.fixture(scope="module")
def interpreted() -> Iterator[ModuleType]:
    yield from load(True)


@pytest.fixture(scope="module")
def for_gpus() -> Iterator[ModuleType]:
    yield from load(False)


def use(gates: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slstm, "_kernels", lambda _: (gates, lambda t: t))


def results(
    gates: ModuleType,
    size: Size,
    extended: bool,
    patch: pytest.MonkeyPatch,
    dtype: torch.dtype = torch.float64,
) -> list[Tensor]:
    """Outputs of a layer and their gradients, always of the same layer and inputs."""
    use(gates, patch)
    torch.manual_seed(1)
    layer, x = toy(size, extended).to(dtype), noise(size).to(dtype).requires_grad_()
    h = apply(layer, x)
    return [h, *gradients(layer, x, h, torch.randn_like(h))]


@variants
@pytest.mark.parametrize("size", SIZES)
def test_is_what_plain_pytorch_computes(
    size: Size, extended: bool, interpreted: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    actual = results(interpreted, size, extended, monkeypatch)
    expected = results(gates_plain, size, extended, monkeypatch)
    for a, e in zip(actual, expected, strict=True):
        assert_close(a, e, 1e-12)


def test_single_precision(interpreted: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    size = Size(2, 2, 2, 1, 3)
    actual = results(interpreted, size, True, monkeypatch, torch.float32)
    expected = results(gates_plain, size, True, monkeypatch, torch.float32)
    for a, e in zip(actual, expected, strict=True):
        assert a.dtype == torch.float32
        assert_close(a, e, 1e-5)


@variants
def test_blocks_are_the_whole(
    extended: bool, interpreted: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = Size(2, 3, 2, 2, 3)
    layer, x, grid = toy(size, extended), noise(size), size.grid
    whole = layer(x[positions(grid, 0, len(grid))], grid)
    use(interpreted, monkeypatch)
    state: State | None = None
    parts = []
    for first, stop in grid.blocks(5):
        part, state = layer.advance(x[positions(grid, first, stop)], grid, first, stop, state)
        parts.append(part)
    assert_close(torch.cat(parts), whole.detach(), 1e-12)


def test_memory_is_bounded(interpreted: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slstm, "LARGEST_MEMORY", 0.5)
    size = Size(1, 3, 2, 2, 3)
    actual = results(interpreted, size, False, monkeypatch)
    expected = results(gates_plain, size, False, monkeypatch)
    for a, e in zip(actual, expected, strict=True):
        assert_close(a, e, 1e-12)


def test_what_is_not_a_number_stays_so(
    interpreted: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = Size(1, 2, 2, 1, 2)
    use(interpreted, monkeypatch)
    layer, x = toy(size), noise(size)
    x[0, 0, 1] = torch.nan
    seen = apply(layer, x).detach()[0, :, :, 0].isnan()
    assert seen.tolist() == [[False, True], [False, True]]


@pytest.mark.parametrize(
    ("target", "kind", "streams"),
    [(("cuda", 80, 32), "fp64", 4), (("cuda", 90, 32), "fp32", 2)],
    ids=["A100", "H100"],
)
def test_compiles_for_gpus(
    target: tuple[str, int, int],
    kind: str,
    streams: int,
    for_gpus: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    triton, compiler = import_module("triton"), import_module("triton.backends.compiler")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    constants = {"STREAMS": streams, "CELLS": for_gpus.CELLS, "UNITS": 64}
    kinds = dict.fromkeys(constants, "constexpr") | {"bound": "fp32"}
    kinds |= dict.fromkeys(("n", "inputs", *for_gpus.PLACES), "i32")
    for name in ("_push", "_forward", "_backward"):
        kernel = getattr(for_gpus, name)
        signature = {argument: kinds.get(argument, f"*{kind}") for argument in kernel.arg_names}
        source = triton.compiler.ASTSource(kernel, signature, constexprs=constants)
        assert triton.compile(source, target=compiler.GPUTarget(*target)).asm["cubin"]


def test_layers_choose_gates_by_device() -> None:
    def chosen(device: str, dtype: torch.dtype) -> str:
        tensor = SimpleNamespace(device=torch.device(device), dtype=dtype)
        gates, _ = slstm._kernels(cast("Any", tensor))
        return gates.__name__

    assert chosen("cpu", torch.float32) == gates_numba.__name__
    assert chosen("cuda", torch.float32) == chosen("cuda", torch.float64) == NAME
    assert chosen("mps", torch.float32) == chosen("cuda", torch.float16) == gates_plain.__name__
