"""Tables say what the figures are."""

from __future__ import annotations

from imprior.report.tables import Table, comparison, description, number, seconds, size


def test_columns_line_up() -> None:
    text = Table(["image", "a", "bb"], [["x.png", "1.25", "10.5"], ["total", "2", "3"]]).text()
    assert text.splitlines() == ["image     a    bb", "x.png  1.25  10.5", "total     2     3"]


def test_comparison_points_out_the_fewest_bits() -> None:
    images = {"a": {"png": 5.0, "ours": 4.0}, "b": {"png": 3.0}}
    table = comparison(images, {"png": 4.0, "ours": 4.5})
    assert table.header == ["image", "png", "ours"]
    assert table.rows == [["a", "5.000", "4.000"], ["b", "3.000", "–"], ["total", "4.000", "4.500"]]
    assert table.best == [2, 1, 1]


def test_units() -> None:
    assert number(1 / 3) == "0.333" and number(None) == "–"
    assert [size(n) for n in (0, 1000, 2_500_000, 10**13)] == [
        "0 B",
        "1.0 kB",
        "2.5 MB",
        "10000.0 GB",
    ]
    assert [seconds(s) for s in (0.004, 5.96, 99.9, 119.6)] == [
        "0.00 s", "6.0 s", "100 s", "2 min 00 s",
    ]  # fmt: skip


def test_description_of_an_image_is_one_line() -> None:
    record = {
        "kind": "image", "path": "a.tif", "page": 2, "shape": [4, 20, 30], "bits": 16,
        "alpha": True, "lowest": 3, "highest": 900, "resolution": [300.0, 72.0],
        "icc_bytes": 3144, "exif_bytes": 0,
    }  # fmt: skip
    assert description(record) == (
        "a.tif#2: 30 x 20 pixels, 4 channels, 16 bits, the last is opacity, values 3 to 900, "
        "300 x 72 pixels per inch, ICC profile of 3.1 kB"
    )
