"""What a generated dataset is made from, as a value that can be compared and named."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from gwbench.data.store.layout import LAYOUT_VERSION, canonical_json


def dataset_recipe(
    name: str,
    version: int,
    parameters: Mapping[str, Any],
    seed: int,
    fingerprint: Mapping[str, str],
    source: str = "",
) -> dict[str, Any]:
    """Everything that determines the content of a generated dataset.

    Args:
        name: the dataset plugin's.
        version: the dataset plugin's.
        parameters: every parameter, the defaults too; JSON values.
        seed: of the data.
        fingerprint: `Dataset.fingerprint()`.
        source: hash of the dataset plugin's source.
    """
    return {
        "dataset": name,
        "version": version,
        "parameters": dict(parameters),
        "seed": seed,
        "fingerprint": dict(fingerprint),
        "source": source,
    }


def recipe_digest(recipe: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that identify a recipe under this layout of the file."""
    return hashlib.sha256(canonical_json([LAYOUT_VERSION, recipe]).encode()).hexdigest()[:16]
