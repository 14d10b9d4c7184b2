"""The overhead of a suite: 40 tiny cells, from the start of the command to its end.

    python benchmarks/speed/suite.py [--jobs 2] [--epochs 3]

A cell's own computing time is what its record gives for pre-training, its diagnostics, and the probe or baseline.
Everything else is overhead: start-up, imports, data and their conditioning, records.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

SUITE = """\
datasets:
  - {name: bbh, train: 1024, val: 256, test: 512, snr: [12, 20]}
encoders:
  - {name: cnn1d, width: 8, embed_dim: 32, stride: 8}
pairings: [cross-detector]
objectives: [barlow, simclr, byol, vicreg]
baselines: [random-init]
training: {epochs: %d, batch_size: 64}
seeds: [0, 1, 2, 3, 4, 5, 6, 7]
precision: fp32
"""
OWN = ("pretrain", "diagnose", "evaluate", "baseline")


@click.command()
@click.option("--jobs", default=1, show_default=True)
@click.option("--epochs", default=3, show_default=True)
def main(jobs: int, epochs: int) -> None:
    """Time the suite."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "suite.yaml").write_text(SUITE % epochs)
        words = [sys.executable, "-m", "gwbench", "suite", "run", str(folder / "suite.yaml"), "--jobs", str(jobs)]
        words += ["--out", str(folder / "runs"), "--cache-dir", str(folder / "cache"), "--device", "cpu", "--quiet"]
        begun = time.monotonic()
        subprocess.run(words, check=True)
        whole = time.monotonic() - begun
        records = [json.loads(path.read_text()) for path in folder.glob("runs/*/record.json")]
    own = sum(phase["seconds"] for record in records for key, phase in record["phases"].items() if key in OWN)
    shared = sum(phase["seconds"] for record in records for key, phase in record["phases"].items() if key not in OWN)
    click.echo(
        f"{len(records)} cells, {jobs} jobs: {whole:.1f} s; their own compute {own:.1f} s, data and conditioning "
        f"{shared:.1f} s; ratio {whole / own:.2f}"
    )


if __name__ == "__main__":
    main()
