"""Which strain files lie behind some files, folders and globs."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from gwbench.errors import UserError

HDF5, GWF = (".hdf5", ".hdf", ".h5"), (".gwf",)
"""What is read of a folder; a file of any other suffix is taken for HDF5."""


def find_strain_files(places: Iterable[str]) -> list[Path]:
    """The files behind some files, folders (searched to the bottom) and globs: each once, in order of name.

    Raises:
        UserError: one of them leads to no file.
    """
    paths: set[Path] = set()
    for given in places:
        place = Path(given).expanduser()
        if place.is_file():
            here = [place]
        elif place.is_dir():
            here = [file for file in place.rglob("*") if file.suffix in HDF5 + GWF and file.is_file()]
        else:
            # Path.glob takes no absolute pattern.
            names = glob.glob(str(place), recursive=True)  # noqa: PTH207
            here = [Path(name) for name in names if Path(name).is_file()]
        if not here:
            raise UserError(
                f"dataset.path={given} names no strain file: expected a file ({', '.join(HDF5 + GWF)}), a folder of "
                "such files, or a glob in quotes."
            )
        paths.update(file.absolute() for file in here)
    return sorted(paths, key=lambda file: (file.name, str(file)))
