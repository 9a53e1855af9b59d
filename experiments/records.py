"""Dated figures: what `experiments/` and `benchmarks/` measured, appended to JSON lists."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from imprior import provenance
from imprior.data.files import replace_file


@dataclass(frozen=True)
class Record:
    """One figure.

    Attributes:
        name: `data/protocol/model`, or `speed/what/implementation`.
        value: The figure, in `unit`.
        unit: Its unit, such as "bit/px".
        protocol: How it was measured, with every detail that moves it.
        seconds: How long the run took, in seconds of wall time.
        published: The paper's figure, where there is one.
        anchor: What we measured of another's implementation, where there is one.
    """

    name: str
    value: float
    unit: str
    protocol: str
    seconds: float
    published: float | None = None
    anchor: float | None = None

    def __str__(self) -> str:
        beside = [
            f"{word} {value:g}"
            for word, value in (("published", self.published), ("anchor", self.anchor))
            if value is not None
        ]
        return f"{self.name:<40} {self.value:>12.5g} {self.unit:<8} {', '.join(beside)}".rstrip()


def append(path: Path, records: list[Record]) -> None:
    """Appends `records`, with machine, commit and date, to the JSON list at `path`.

    Raises:
        ValueError: If `path` holds something else than a list of records.
    """
    rows = json.loads(path.read_text()) if path.exists() else []
    if not isinstance(rows, list):
        raise ValueError(f"{path} must hold a list of records, got {type(rows).__name__}")
    date = datetime.now(UTC).isoformat(timespec="seconds")
    where = {"machine": machine(), "commit": provenance.commit() or "unknown", "date": date}
    for record in records:
        known = {key: value for key, value in asdict(record).items() if value is not None}
        rows.append(known | where)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
    replace_file(path, text.encode())


def machine() -> str:
    """The processor, how many of its cores there are, and the system."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [row for row in info.read_text().splitlines() if row.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    return f"{os.cpu_count()} cores of {name}, {platform.system()} {platform.machine()}"
