"""Puts a trained model folder into the package, with a card that says what it was trained on.

imprior train --preset mcgsm-gray --data bsds500/train imagenet128/train --out runs/mcgsm-gray
python -m experiments.bundle runs/mcgsm-gray
"""

from __future__ import annotations

from pathlib import Path

from jsonargparse import auto_cli

from imprior import checkpoint

DATA = (
    "995 photographs: the 200 training images of BSDS500 (Arbelaez et al. 2011) and 795 of "
    "ImageNet, centre-cropped and reduced to 128 x 128; a tenth of them chose the weights"
)
LICENCE = (
    "weights: MIT, as imprior; the photographs are for research and education and are not included"
)


def main(folder: Path, name: str | None = None, data: str = DATA) -> None:
    """Copies a model into `src/imprior/bundled`, with data and licence in its card.

    Arguments:
        folder: The trained model.
        name: Its bundled name; that of the folder if none is given.
        data: What it was trained on, for its card.
    """
    model = checkpoint.load(folder)
    provenance = checkpoint.read(folder)["provenance"] | {"data": data, "licence": LICENCE}
    print(checkpoint.save(model, checkpoint.BUNDLED / (name or folder.name), provenance))


if __name__ == "__main__":
    auto_cli(main)
