"""`gwbench report` writes HTML, and under no other name."""

from __future__ import annotations

from pathlib import Path

import pytest

from gwbench.cli.report import report
from gwbench.errors import UserError


@pytest.mark.parametrize("name", ["report.pdf", "report", "report.md", "report.html.gz"])
def test_another_suffix_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a report is HTML\. Give a name that ends in \.html or \.htm\."):
        report.main([str(tmp_path), "--output", str(tmp_path / name)], standalone_mode=False)
    assert list(tmp_path.iterdir()) == []
