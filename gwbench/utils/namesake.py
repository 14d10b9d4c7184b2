"""PyPI's other `gwbench`, a package of Fisher matrices with the same import name.

Whichever of the two was installed last has replaced files of the other, so that neither works as it should.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

INSTALLED = re.compile(r"gwbench-[0-9][^/]*\.(dist|egg)-info", re.IGNORECASE)
"""The folder by which pip knows that package; our own begins with gwbench_ssl."""

ADVICE = (
    "The package 'gwbench' (Fisher matrices) is installed beside 'gwbench-ssl' and has the same import name. Keep them "
    "in separate environments: pip uninstall gwbench gwbench-ssl, then pip install gwbench-ssl."
)


def namesake_in(folder: Path) -> bool:
    """Whether the other package is installed in a folder of packages."""
    try:
        return any(INSTALLED.fullmatch(entry.name) for entry in folder.iterdir())
    except OSError:
        return False


def warn_of_namesake(folder: Path) -> None:
    """Warn where the other package is installed beside this one."""
    if namesake_in(folder):
        warnings.warn(ADVICE, UserWarning, stacklevel=3)
