"""Models as folders: `config.json`, `model.safetensors` and a model card, `README.md`.

`config.json` says which class and config rebuild the model, where the weights come from, and two
checksums: `sha256` of the weights file as it lies there (what `sha256sum` prints), and `digest` of
what the model computes with, config and tensors, which a compressed file names as its model.
Nothing is ever unpickled.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import safetensors.torch
import torch
from torch import Tensor

from imprior.base import ImageModel
from imprior.data.files import replace_file
from imprior.models import MODELS
from imprior.provenance import PROVENANCE, card

FORMAT = 1
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
BUNDLED = Path(__file__).parent / "bundled"


def save(model: ImageModel, folder: str | Path, provenance: Mapping[str, Any]) -> Path:
    """Writes a model folder; other files in the folder stay.

    All files are written under another name first, so that a full disk or an interruption leaves
    a model that was there as it was.

    Arguments:
        model: The model to save.
        folder: Made if it is missing.
        provenance: JSON values under at least the names in `PROVENANCE`.

    Returns:
        The folder.

    Raises:
        ValueError: If a name of `PROVENANCE` is missing.
    """
    missing = [name for name in PROVENANCE if name not in provenance]
    if missing:
        raise ValueError(f"provenance must say {', '.join(missing)} (None where it is not known)")
    weights = safetensors.torch.save(_tensors(model))
    record = {
        "format": FORMAT,
        "model": type(model).__name__,
        "config": dataclasses.asdict(model.config),
        "provenance": dict(provenance),
        "sha256": hashlib.sha256(weights).hexdigest(),
        "digest": digest(model),
    }
    files = {
        WEIGHTS: weights,
        CONFIG: (json.dumps(record, indent=2) + "\n").encode(),
        CARD: card(record).encode(),
    }
    return _replace(Path(folder), files)


def load(name: str | Path) -> ImageModel:
    """Loads a model by bundled name, folder or hub id, on the CPU, ready to use.

    Arguments:
        name: A folder; or one of `bundled()`; or `owner/name` on the Hugging Face hub.

    Raises:
        ValueError: If there is no such model, or a file of it is missing, damaged, or needs a
            newer imprior.
    """
    folder = find(name)
    record = read(folder)
    weights = _contents(folder / WEIGHTS)
    if hashlib.sha256(weights).hexdigest() != record["sha256"]:
        raise ValueError(f"{folder / WEIGHTS} is damaged: {CONFIG} has another checksum")
    tensors = safetensors.torch.load(weights)
    if _digest(record["model"], record["config"], tensors) != record["digest"]:
        raise ValueError(f"{folder / CONFIG} was changed since the model was saved")
    try:
        model = _rebuild(record["model"], record["config"])
        _fill(model, tensors)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{folder} does not fit this version of imprior: {error}") from None
    return model.eval()


def read(folder: Path) -> dict[str, Any]:
    """What `config.json` says, checked for form but not against the weights.

    Raises:
        ValueError: If the file is missing, damaged or of a newer format.
    """
    path = folder / CONFIG
    content = _contents(path)
    try:
        record = json.loads(content)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    version = record.get("format") if isinstance(record, dict) else None
    if not isinstance(version, int):
        raise ValueError(f"{path} is not the config of an imprior model: it has no format number")
    if version > FORMAT:
        raise ValueError(f"{path} has format {version}; this imprior reads up to {FORMAT}: update")
    kinds = {"model": str, "config": dict, "provenance": dict, "sha256": str, "digest": str}
    for key, kind in kinds.items():
        if not isinstance(record.get(key), kind):
            raise ValueError(f"{path} is damaged: it has no {key!r}")
    return record


def digest(model: ImageModel) -> str:
    """SHA-256 of what a model computes with: class, config and tensors, not where it came from.

    Returns:
        64 hexadecimal digits.
    """
    return _digest(type(model).__name__, dataclasses.asdict(model.config), _tensors(model))


def _digest(name: str, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    head = json.dumps([name, config], sort_keys=True, separators=(",", ":"))
    summary = hashlib.sha256(head.encode())
    for key, tensor in sorted(tensors.items()):
        summary.update(f"\n{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        # `view(uint8)` because NumPy lacks bfloat16; little-endian on every machine torch is for.
        summary.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return summary.hexdigest()


def _contents(path: Path) -> bytes:
    if not path.is_file():
        raise ValueError(f"{path} is missing: a model needs {CONFIG} and {WEIGHTS}")
    return path.read_bytes()


def bundled() -> list[str]:
    """Names of the pretrained models that come with imprior."""
    return sorted(path.parent.name for path in BUNDLED.glob(f"*/{CONFIG}"))


def find(name: str | Path) -> Path:
    """The folder of a model: a folder of that name, else a bundled one, else one of the hub.

    Raises:
        ValueError: If there is no such model.
    """
    if Path(name).is_dir():
        return Path(name)
    if str(name) in bundled():
        return BUNDLED / str(name)
    if re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", str(name)):
        return _download(str(name))
    raise ValueError(
        f"no model {str(name)!r}: give a folder, a hub id (owner/name) "
        f"or a bundled name ({', '.join(bundled()) or 'none is installed'})"
    )


def _download(name: str) -> Path:
    """The local copy of a hub repository; only the files that a model consists of."""
    missing = f"no model {name!r}: there is no such folder"
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise ValueError(f"{missing}; to look on the hub, pip install 'imprior[hub]'") from None
    try:
        return Path(snapshot_download(name, allow_patterns=[CONFIG, WEIGHTS, CARD]))
    except (OSError, ValueError) as error:  # what the hub library raises derives from these
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{missing}, and the hub did not give it: {reason}") from None


def _tensors(model: ImageModel) -> dict[str, Tensor]:
    # Clones, because safetensors refuses tensors that share memory.
    return {name: t.detach().cpu().contiguous().clone() for name, t in model.state_dict().items()}


def _rebuild(name: str, config: Mapping[str, Any]) -> ImageModel:
    classes = {model.__name__: model for model in MODELS}
    if name not in classes:
        raise ValueError(f"unknown model {name!r}, known are {', '.join(classes)}")
    return classes[name](_parse(classes[name].config_class, config))


def _parse(kind: type, values: Mapping[str, Any]) -> Any:
    """Builds a config from JSON: every field named exactly once, lists as tuples."""
    names = {field.name for field in fields(kind)}
    if unknown := sorted(set(values) - names):
        raise ValueError(f"unknown field {', '.join(unknown)}")
    if missing := sorted(names - set(values)):
        raise ValueError(f"missing field {', '.join(missing)}")
    hints = get_type_hints(kind)
    return kind(**{name: _parse_value(hints[name], value) for name, value in values.items()})


def _parse_value(hint: Any, value: Any) -> Any:
    kinds: list[Any] = [
        kind for kind in get_args(hint) or (hint,) if dataclasses.is_dataclass(kind)
    ]
    if isinstance(value, dict) and kinds:
        # Which of several configs it is, their fields tell: no two have the same.
        fitting = [kind for kind in kinds if value.keys() == {f.name for f in fields(kind)}]
        return _parse((fitting or kinds)[0], value)
    if isinstance(value, list):
        inner = kinds[0] if kinds else None
        return tuple(_parse_value(inner, item) for item in value)
    return value


def _fill(model: ImageModel, tensors: Mapping[str, Tensor]) -> None:
    """Puts the tensors of a file into a model, in the file's precision."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if shapes != expected:
        wrong = sorted(dict(shapes.items() ^ expected.items()))
        raise ValueError(f"missing, extra or misshapen {', '.join(wrong)}")
    model.load_state_dict(dict(tensors), assign=True)


def _replace(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Writes all files beside their places first; then puts each of them in its place."""
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".saving-", dir=folder))
    try:
        for name, content in files.items():
            replace_file(staging / name, content)
        for name in files:
            os.replace(staging / name, folder / name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if made and not any(folder.iterdir()):
            folder.rmdir()
    return folder
