"""How fast a layer of spatial LSTM units is beside plain PyTorch and beside bare matrix products.

    python -m benchmarks.slstm                   # one core
    python -m benchmarks.slstm --device cuda     # a GPU

64 units on 24 inputs, float32: one image, many patches, several images; forward, and forward with
backward. The double loop is the one that tests compare with; "products" are the matrix products of
the same diagonals with nothing between them. On the CPU one thread and CPU time, on a GPU wall time
up to the last kernel; medians of runs that take turns. The figures go to results/slstm.json.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from jsonargparse import auto_cli
from torch import Tensor

from benchmarks.mcgsm import Clock, Task, fastest, records
from experiments.records import Record, append
from imprior.models.ride import gates_plain
from imprior.models.ride.diagonals import Diagonals, Step, steps
from imprior.models.ride.model import CELLS_AT_ONCE
from imprior.models.ride.slstm import (
    CELLS_OF_A_PRODUCT,
    LARGEST_MEMORY,
    Memory,
    SpatialLSTM,
    State,
)
from tests.reference import slstm as reference

Device = Literal["cpu", "cuda"]
Tasks = dict[str, list[Task]]

RESULTS = Path(__file__).parent / "results" / "slstm.json"
GRIDS = (Diagonals(1, 256, 256), Diagonals(50, 22, 22), Diagonals(4, 256, 256))
LOOPED_SIDE = 64  # of larger grids the double loop does a corner
INPUTS, UNITS = 24, 64


def clock_of(device: Device) -> tuple[Clock, str]:
    """Seconds on a device, and what they are."""
    if device == "cpu":
        return time.process_time, "one thread, CPU time"

    def synchronized() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return synchronized, f"{torch.cuda.get_device_name()}, wall time"


@torch.no_grad()
def plain_diagonals(x: Tensor, matrix: Tensor, plan: tuple[Step, ...]) -> Tensor:
    """The forward pass by diagonals, an operation of PyTorch for each of the formula."""
    memory = Memory.of(len(x), matrix)
    p, a, h, c = memory.p, memory.a, memory.h, memory.c
    p[:, 2 * UNITS : -1] = x
    p[:, -1] = 1
    gates_plain.push(p, h, c, plan[0], streams=2)
    for step in plan:
        rows = slice(step.start, step.start + step.cells)
        torch.mm(p[rows], matrix, out=a[rows])
        gates_plain.forward(p, a, h, c, step, 2, LARGEST_MEMORY)
    return h


@torch.no_grad()
def products(memory: Memory, matrix: Tensor, plans: list[tuple[Step, ...]]) -> None:
    """The matrix products of the forward pass, and nothing else."""
    for step in (step for plan in plans for step in plan):
        rows = slice(step.start, step.start + step.cells)
        torch.mm(memory.p[rows], matrix, out=memory.a[rows])


@torch.no_grad()
def all_products(memory: Memory, matrix: Tensor, plan: tuple[Step, ...], cells: int) -> None:
    """Those of both passes; the one for the weights takes at least so many cells at once."""
    products(memory, matrix, [plan])
    back, by_matrix = matrix[:-1].T, torch.zeros_like(matrix)
    by_p = matrix.new_empty(max(step.cells for step in plan), back.shape[1])
    stop = plan[-1].start + plan[-1].cells
    for step in reversed(plan):
        torch.mm(memory.a[step.start : step.start + step.cells], back, out=by_p[: step.cells])
        if stop - step.start >= cells or step.start == 0:
            by_matrix.addmm_(memory.p[step.start : stop].T, memory.a[step.start : stop])
            stop = step.start


def in_blocks(layer: SpatialLSTM, x: Tensor, grid: Diagonals) -> None:
    """The forward pass in the memory of a few diagonals, as images are evaluated."""
    state: State | None = None
    done = 0
    for first, stop in grid.blocks(CELLS_AT_ONCE):
        cells = sum(grid.cells(d) for d in range(first, stop))
        _, state = layer.advance(x[done : done + cells], grid, first, stop, state)
        done += cells


def forward_and_back(layer: SpatialLSTM, x: Tensor, grid: Diagonals) -> None:
    """Both passes, with gradients by inputs and weights."""
    h = layer(x, grid)
    torch.autograd.grad(h, [x, *layer.parameters()], torch.ones_like(h))


def layer_tasks(grid: Diagonals, looped: Diagonals, device: Device) -> tuple[Tasks, Tasks]:
    """What is timed on some grids: forward, and forward with backward."""
    layer = SpatialLSTM(INPUTS, UNITS)
    layer.initialize(torch.Generator().manual_seed(0))
    layer.to(device)
    plan, matrix = steps(grid, 0, len(grid)), layer.matrix().detach()
    blocks = [steps(grid, *block) for block in grid.blocks(CELLS_AT_ONCE)]
    x = torch.randn(grid.batch * grid.height * grid.width, INPUTS, device=device)
    image = torch.randn(looped.batch, looped.height, looped.width, INPUTS, device=device)
    weights, inputs = (layer.weight, layer.bias), x.clone().requires_grad_()
    memory = Memory.of(len(x), matrix)
    memory.p.normal_(std=0.1)
    memory.a.normal_(std=0.1)
    # Bare products may stay in the cache, or take more cells at once, wherever that is faster.
    sizes = (CELLS_OF_A_PRODUCT, 8 * CELLS_OF_A_PRODUCT, len(x))
    forward: Tasks = {
        "imprior": [torch.no_grad()(partial(layer, x, grid))],
        "imprior-in-blocks": [partial(in_blocks, layer, x, grid)],
        "torch": [torch.no_grad()(partial(reference.outputs, image, *weights))],
        "torch-diagonals": [partial(plain_diagonals, x, matrix, plan)],
        "products": [partial(products, memory, matrix, plans) for plans in ([plan], blocks)],
    }
    both: Tasks = {
        "imprior": [partial(forward_and_back, layer, inputs, grid)],
        "products": [partial(all_products, memory, matrix, plan, size) for size in sizes],
    }
    return forward, both


def rows_of(grid: Diagonals, device: Device, runs: int) -> list[Record]:
    """Figures of some grids: forward, and forward with backward."""
    began, (clock, seconds) = time.monotonic(), clock_of(device)
    looped = Diagonals(grid.batch, min(grid.height, LOOPED_SIDE), min(grid.width, LOOPED_SIDE))
    forward, both = (fastest(t, runs, clock) for t in layer_tasks(grid, looped, device))
    forward["torch"] *= grid.height * grid.width / (looped.height * looped.width)
    size, pixels = f"{grid.batch}x{grid.height}x{grid.width}", grid.batch * grid.height * grid.width
    how = f"{size} cells, {UNITS} units, {INPUTS} inputs, float32; {seconds}, median of {runs}"
    took = time.monotonic() - began
    name, protocol = f"slstm-forward-{size}-{device}", f"{how}; torch: a double loop over cells"
    rows = records(name, forward, protocol, pixels, took)
    name, protocol = f"slstm-gradient-{size}-{device}", f"{how}; forward and backward"
    return rows + records(name, both, protocol, pixels, took, beside="products")


def main(device: Device = "cpu", runs: int = 7, record: bool = True) -> None:
    """Times all grids and records the medians.

    Arguments:
        device: Where it all runs.
        runs: Of each implementation, after one that warms up.
        record: Whether to append the figures to results/slstm.json.
    """
    torch.set_num_threads(1)
    rows = [row for grid in GRIDS for row in rows_of(grid, device, runs)]
    if record:
        append(RESULTS, rows)


if __name__ == "__main__":
    auto_cli(main)
