"""CITATION.cff is one, of this version."""

from __future__ import annotations

import yaml

from gwbench import __version__
from tests.docs.pages import ROOT


def test_the_citation_file_is_valid_and_of_this_version() -> None:
    """The keys that the Citation File Format 1.2.0 requires, and those that this file has of the optional ones."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert set(citation) <= {
        *("abstract", "authors", "cff-version", "keywords", "license", "message", "title", "type", "version"),
    }
    assert citation["cff-version"] == "1.2.0"
    assert citation["authors"] == [{"name": "The gwbench authors"}]
    assert citation["version"] == __version__
    assert citation["license"] == "MIT"
    assert citation["type"] == "software"
