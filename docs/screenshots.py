"""Take the pictures of the HTML pages that the README shows.

    gwbench run --encoder cnn1d --loss barlow
    python docs/screenshots.py runs/cnn1d-cross-detector-barlow-bbh-s0-*

The leaderboard is that of the published quickstart, the report that of the run given. It needs Chromium and its
driver, as the tests of the pages do.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.reporting.html.browser import chromium  # noqa: E402 - a script, run from anywhere

SHOTS = {"desktop": (1280, False), "desktop-dark": (1280, True), "phone": (390, False)}
"""Width in pixels, and whether the theme is dark."""

HEIGHT = 1500


def main(run: Path) -> None:
    """Write the pages of the quickstart and of a run, and take pictures of both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pages = {"leaderboard": folder / "leaderboard.html", "report": folder / "report.html"}
        quickstart = ROOT / "benchmarks" / "results" / "quickstart" / "runs"
        command = [sys.executable, "-m", "gwbench"]
        subprocess.run([*command, "leaderboard", quickstart, "--output", pages["leaderboard"]], check=True)
        subprocess.run([*command, "report", run, "--output", pages["report"]], check=True)
        with chromium(folder / "profile") as browser:
            for page, path in pages.items():
                for shot, (width, dark) in SHOTS.items():
                    browser.open(path, width=width, height=HEIGHT, dark=dark)
                    browser.picture(ROOT / "docs" / f"{page}-{shot}.png", whole=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
