"""A folder of runs as a page may meet it: seeds, shares of labels, bounds, what failed, and names that mean harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gwbench.experiment.record import PREDICTIONS, RECORD
from tests.reporting.synthetic_runs import write_run

EVIL = "<img src=x onerror=document.title='pwned'></script><script>document.title='pwned'</script>&\"' $x$"


def write_runs(root: Path) -> Path:
    """Three objectives, two of them at two shares of labels, a floor, a ceiling, a failure, a damaged record."""
    for objective, quality in (("barlow", 1.0), ("simclr", 1.2), ("vicreg", 2.5)):
        for seed in range(2):
            write_run(root, objective=objective, quality=quality, seed=seed)
            if objective != "vicreg":
                write_run(root, objective=objective, quality=quality - 0.4, seed=seed, fraction=0.01)
    for seed in range(2):
        write_run(root, baseline="random-init", quality=0.3, seed=seed, edit=_tagged("random-init", "floor"))
        write_run(root, baseline="matched-filter", quality=4.0, seed=seed, edit=_tagged("matched-filter", "ceiling"))
    write_run(root, baseline="supervised", failed=f"RuntimeError: {EVIL}")
    (root / "damaged").mkdir()
    (root / "damaged" / RECORD).write_text("{")
    return root


def write_evil_runs(root: Path) -> Path:
    """Two methods whose names, parameters, commands and notes are markup."""

    def rename(document: dict[str, Any]) -> None:
        for kind in ("dataset", "pairing", "encoder"):
            document["spec"][kind]["name"] = EVIL + kind
        document["spec"]["encoder"]["parameters"]["evil"] = EVIL + document["run_id"]
        document["command"] = f"gwbench run {EVIL}"
        document["data"]["notes"] = [EVIL]
        document["environment"]["packages"] = {EVIL: EVIL}

    write_run(root, edit=rename, folder="a")
    write_run(root, edit=rename, folder="b", objective="simclr")
    (root / "b" / PREDICTIONS).write_bytes(b"PK")
    (root / f"c{EVIL[:20]}").mkdir()
    (root / f"c{EVIL[:20]}" / RECORD).write_text("{")
    return root


def _tagged(name: str, tag: str) -> Any:
    def change(document: dict[str, Any]) -> None:
        for used in document["plugins"]:
            used["tags"] = [tag] if used["name"] == name else []

    return change
