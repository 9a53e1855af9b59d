"""Where weights come from: what a model folder says of it, and the model card that people read."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from imprior import __version__

# What every model folder says; None where it is not known.
PROVENANCE = (
    *("data", "data_checksum", "licence"),
    *("training", "seed", "commit", "versions", "figures"),
)


def commit() -> str | None:
    """The commit that this imprior was checked out at, `+` if files differ; None if installed."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("+" if _git(root, "status", "--porcelain", "--", "src") else "")
    except (OSError, subprocess.CalledProcessError):  # no git, or no commit yet
        return None


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def versions() -> dict[str, str]:
    """Versions of what computes: imprior, Python and the libraries that move numbers."""
    found = {"imprior": __version__, "python": platform.python_version()}
    for name in ("torch", "numpy", "numba", "scipy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def card(record: Mapping[str, Any]) -> str:
    """The model card, Markdown, of a model whose `config.json` holds `record`."""
    told = record["provenance"]
    rows = {
        **{name.replace("_", " "): told[name] for name in PROVENANCE},
        "config": record["config"],
        "SHA-256 of `model.safetensors`": record["sha256"],
        "digest of the model": record["digest"],
    }
    table = "\n".join(f"| {name} | {_cell(value)} |" for name, value in rows.items())
    return f"""# {record["model"]}, a probability model of images

`imprior info FOLDER` prints what this page says; `imprior evaluate --model FOLDER IMAGES` gives
its figures on any images. See data and licence before you use the weights.

| | |
| --- | --- |
{table}
"""


def _cell(value: Any) -> str:
    """A value as one cell of a Markdown table."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_cell(item)}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return " / ".join(_cell(item) for item in value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return "not recorded" if value is None else str(value).replace("|", "\\|").replace("\n", " ")
