"""A local model to go on from, made of networks that are there: all scales look alike.

    python -m experiments.local_start runs/start                 # of local-gray and flat-gray
    imprior train --preset local-gray-tune --start runs/start --data photos/ --out runs/local-gray

Every scale has the network of one model's finest scale, which learnt from the most pixels, and the
low-pass image the network of a flat denoiser. On Set12 that does better than networks that learnt
as long from coarse scales alone. The bundled local-gray began so.
"""

from __future__ import annotations

from pathlib import Path

from jsonargparse import auto_cli

from imprior import checkpoint
from imprior.models import build
from imprior.models.local.denoiser import FlatDenoiser
from imprior.models.local.model import LocalModel
from imprior.presets import PRESETS


def compose(preset: str, finest: LocalModel, low: FlatDenoiser) -> LocalModel:
    """A model of a preset, with the weights of others.

    Raises:
        ValueError: If the preset is for no local model, or the weights do not fit it.
    """
    model = build(PRESETS[preset].config)
    if not isinstance(model, LocalModel):
        raise ValueError(f"{preset} is for {type(model).__name__}, which has no scales")
    try:
        for number in range(model.num_scales):
            model.scale(number).load_state_dict(finest.scale(0).state_dict())
        model.low.load_state_dict(low.state_dict())
    except RuntimeError as error:
        raise ValueError(f"weights do not fit {preset}: {str(error).splitlines()[-1]}") from None
    return model.eval()


def main(
    out: Path, preset: str = "local-gray", finest: str = "local-gray", low: str = "flat-gray"
) -> None:
    """Writes the model.

    Arguments:
        out: The model folder to write.
        preset: Of a local model.
        finest: A model whose finest scale all scales begin with: a folder or a bundled name.
        low: Likewise a flat denoiser, for the low-pass image.
    """
    details, coarsest = checkpoint.load(finest), checkpoint.load(low)
    if not isinstance(details, LocalModel) or not isinstance(coarsest, FlatDenoiser):
        raise ValueError(f"{finest} must be a local model, and {low} a flat denoiser")
    start = f"scales: {checkpoint.digest(details)}, low: {checkpoint.digest(coarsest)}"
    told = checkpoint.read(checkpoint.find(finest))["provenance"]
    model = compose(preset, details, coarsest)
    print(checkpoint.save(model, out, told | {"start": start, "training": None}))


if __name__ == "__main__":
    auto_cli(main)
