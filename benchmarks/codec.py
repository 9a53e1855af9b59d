"""How long `imprior compress` and `decompress` take for one colour photograph, on one core.

    python -m benchmarks.codec [IMAGE]

Whole processes, start-up included, CPU time and peak memory as the system accounts them; JPEG XL
at effort 9 is measured in the same run. The figures go to results/codec.json.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from jsonargparse import auto_cli

from experiments.bsds300 import data_root
from experiments.records import Record, append

RESULTS = Path(__file__).parent / "results" / "codec.json"
ENVIRONMENT = os.environ | {
    f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")
}
JXL = (
    "import sys, time, imagecodecs; from imprior.data.images import read;"
    "pixels = read(sys.argv[1]).pixels.permute(1, 2, 0).byte().numpy();"
    "began = time.process_time();"
    "data = imagecodecs.jpegxl_encode(pixels, lossless=True, effort=9, numthreads=1);"
    "encoded = time.process_time();"
    "imagecodecs.jpegxl_decode(data, numthreads=1);"
    "print(encoded - began, time.process_time() - encoded)"
)


def run(*words: str) -> tuple[float, str]:
    """CPU seconds of a command, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, *words]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return user + system, done.stdout


def main(image: Path | None = None, model: str = "mcgsm-rgb", runs: int = 3) -> None:
    """Times both directions and records the medians.

    Arguments:
        image: The picture; the first of the Kodak set if none is given.
        model: A bundled model or a folder.
        runs: Of each command, after one that fills Numba's cache.
    """
    image = image or data_root() / "kodak" / "kodim01.png"
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        packed, unpacked = Path(folder) / "packed", Path(folder) / "unpacked"
        options = ("--model", model, "--overwrite", "--quiet", "--out")
        compress = ("-m", "imprior", "compress", str(image), *options, str(packed))
        decompress = ("-m", "imprior", "decompress", str(packed), *options, str(unpacked))
        run(*compress)
        run(*decompress)
        seconds = {
            "compress/imprior": statistics.median(run(*compress)[0] for _ in range(runs)),
            "decompress/imprior": statistics.median(run(*decompress)[0] for _ in range(runs)),
        }
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    encode, decode = map(float, run("-c", JXL, str(image))[1].split())
    seconds |= {"compress/jxl9": encode, "decompress/jxl9": decode}
    protocol = (
        f"CPU time of the process, one thread, {image.name} with {model}; jxl9: the calls alone"
    )
    took = time.monotonic() - began
    records = [
        Record(f"speed/{name}", round(value, 3), "s", protocol, round(took))
        for name, value in seconds.items()
    ]
    memory = "largest peak of the processes"
    records.append(Record("memory/compress/imprior", round(peak, 3), "GiB", memory, round(took)))
    print(*records, sep="\n")
    append(RESULTS, records)


if __name__ == "__main__":
    auto_cli(main)
