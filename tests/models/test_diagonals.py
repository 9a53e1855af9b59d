"""Anti-diagonals hold every cell of the grids once, and neighbours are where steps say."""

from __future__ import annotations

import itertools

import pytest

from imprior.models.ride.diagonals import Diagonals, Step, positions, steps

Cell = tuple[int, int, int]

GRIDS = [
    Diagonals(1, 1, 1),
    Diagonals(1, 1, 5),
    Diagonals(2, 5, 1),
    Diagonals(3, 4, 4),
    Diagonals(2, 3, 7),
    Diagonals(2, 7, 3),
]
grids = pytest.mark.parametrize("grid", GRIDS, ids=str)


def cells_of(grid: Diagonals, first: int, stop: int) -> list[Cell]:
    columns = (column.tolist() for column in positions(grid, first, stop))
    return list(zip(*columns, strict=True))


def cell(cells: list[Cell], start: int, count: int, index: int) -> Cell | None:
    """A cell of the diagonal stored from `start` on, if it has one of this index."""
    return cells[start + index] if 0 <= index < count else None


def assert_neighbours(grid: Diagonals, cells: list[Cell], step: Step) -> None:
    """`step` finds the neighbours of its cells, and none where there are none."""
    known = set(cells)
    for q in range(step.cells):
        image, y, x = cells[step.start + q]
        before, after = (step.before, step.cells_before), (step.after, step.cells_after)
        expected = {
            (image, y, x - 1): (*before, q + step.shift * step.batch),
            (image, y - 1, x): (*before, q + (step.shift - 1) * step.batch),
            (image, y, x + 1): (*after, q - step.shift_after * step.batch),
            (image, y + 1, x): (*after, q + (1 - step.shift_after) * step.batch),
        }
        for neighbour, place in expected.items():
            assert cell(cells, *place) == (neighbour if neighbour in known else None)


@grids
def test_every_cell_comes_once_and_in_order(grid: Diagonals) -> None:
    cells = cells_of(grid, 0, len(grid))
    every = itertools.product(range(grid.batch), range(grid.height), range(grid.width))
    assert sorted(cells) == sorted(every)
    assert [y + x for _, y, x in cells] == sorted(y + x for _, y, x in cells)
    # Within a diagonal rows go down, and images come one after another.
    assert cells == sorted(cells, key=lambda c: (c[1] + c[2], c[1], c[0]))


@grids
def test_counts(grid: Diagonals) -> None:
    counts = [len(cells_of(grid, d, d + 1)) for d in range(len(grid))]
    assert [grid.cells(d) for d in range(len(grid))] == counts
    assert grid.longest == max(counts)
    assert sum(counts) == grid.batch * grid.height * grid.width
    assert grid.cells(-1) == grid.cells(len(grid)) == 0


@grids
def test_neighbours_are_where_steps_say(grid: Diagonals) -> None:
    cells, plan = cells_of(grid, 0, len(grid)), steps(grid, 0, len(grid))
    assert [step.start for step in plan] == [
        cells.index(cells_of(grid, d, d + 1)[0]) for d in range(len(grid))
    ]
    for step in plan:
        assert_neighbours(grid, cells, step)


@grids
@pytest.mark.parametrize("at_least", [1, 5, 1000])
def test_blocks_begin_behind_the_diagonal_before(grid: Diagonals, at_least: int) -> None:
    blocks = grid.blocks(at_least)
    assert [d for block in blocks for d in range(*block)] == list(range(len(grid)))
    for first, stop in blocks:
        stored = cells_of(grid, max(first - 1, 0), stop)
        plan = steps(grid, first, stop)
        assert plan[0].start == grid.cells(first - 1)
        assert plan[-1].start + plan[-1].cells == len(stored)
        for step in plan:
            assert_neighbours(grid, stored, step)
    sizes = [sum(grid.cells(d) for d in range(*block)) for block in blocks]
    assert all(size >= at_least for size in sizes[:-1])
