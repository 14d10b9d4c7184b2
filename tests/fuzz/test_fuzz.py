"""A short, seeded part of the campaign, inputs that once went wrong, and texts that hypothesis thinks of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gwbench.errors import UserError
from tests.fuzz.campaign import campaign, make_good_inputs, replay, table
from tests.fuzz.readers import READERS
from tests.fuzz.worker import make_input

CORPUS = sorted(path for path in (Path(__file__).parent / "corpus").glob("*/*") if path.is_file())

SHORT = [
    "psd-text", "psd-compressed", "psd-hdf5", "psd-xml", "psd-npy", "psd-npz", "strain-hdf5", "strain-frames", "events",
    "g2net-window", "g2net-labels", "population", "store", "cached-rows", "journal", "plugin-metadata", "gwosc-answers",
    "search-record", "search-events", "search-events-csv", "injections",
]  # fmt: skip
"""Readers whose good inputs need no run."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


# What gwpy's import of astropy 8 says.
@pytest.mark.filterwarnings("ignore:COPY_IF_NEEDED is no longer needed:PendingDeprecationWarning")
def test_damaged_inputs_are_read_or_refused_with_one_message(folder: Path) -> None:
    tallies = campaign(folder, 0, SHORT, inputs=8)
    assert not any(tally.failures for tally in tallies.values()), table(tallies)
    assert all(tally.results.total() == 8 for tally in tallies.values()), table(tallies)


@pytest.mark.filterwarnings("ignore:COPY_IF_NEEDED is no longer needed:PendingDeprecationWarning")
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_once_went_wrong(path: Path, tmp_path: Path) -> None:
    result, text = replay(path, path.parent.name, tmp_path)
    assert result in ("read", "refused"), text


@pytest.mark.filterwarnings("ignore:COPY_IF_NEEDED is no longer needed:PendingDeprecationWarning")
@pytest.mark.parametrize(("reader", "pattern"), [("psd-hdf5", "*.hdf"), ("strain-frames", "died-*.gwf")])
def test_damage_that_was_found_before(reader: str, pattern: str, tmp_path: Path) -> None:
    shared = os.environ.get("GWBENCH_TEST_DATA")
    cases = Path(shared).parent / "cases" / "damage" if shared else None
    if cases is None or not cases.is_dir():
        pytest.skip("the damaged files are not here: they lie beside the folder of GWBENCH_TEST_DATA")
    for path in sorted(cases.glob(pattern)):
        result, text = replay(path, reader, tmp_path)
        assert result == "refused", f"{path.name}: {text}"


def test_an_input_is_made_again_from_its_numbers(folder: Path) -> None:
    make_good_inputs(folder, ["psd-hdf5"])
    inputs = folder / "good" / "psd-hdf5"
    once, again = (make_input(READERS["psd-hdf5"], inputs, 3, "psd-hdf5", 8) for _ in range(2))
    assert once == again
    assert once != make_input(READERS["psd-hdf5"], inputs, 3, "psd-hdf5", 9)


NUMBER = st.one_of(
    st.floats(width=32).map(str), st.integers().map(str), st.sampled_from(["1e400", "--", "H1", "#", "%"])
)
LINES = st.lists(st.lists(NUMBER, max_size=4).map(" ".join), max_size=30).map("\n".join)


@pytest.mark.parametrize("reader", ["psd-text", "settings", "events"])
def test_any_text_is_read_or_refused(reader: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("text") / (READERS[reader].name or "psd.txt")

    @hypothesis_settings(
        max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.one_of(st.text(max_size=200), LINES))
    def read(text: str) -> None:
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        message = ""
        try:
            READERS[reader].read(path)
        except UserError as error:
            message = str(error)
        assert message.isprintable()

    read()
