"""Writing files so that a failure leaves nothing behind and harms nothing that was there."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Makes `data` the content of the file `path`, wholly or not at all.

    The data go to a temporary file in the same folder, to the disk, and then take the name.

    Raises:
        OSError: If that fails; a file of that name is then as it was before.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    file = open(temporary, "xb")  # noqa: SIM115, closed below, before the removal
    try:
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink()
        raise
