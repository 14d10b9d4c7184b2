"""`gwbench search evaluate` as a user calls it: files in, a table or a search record out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from gwbench.cli.main import gwbench
from gwbench.errors import UserError
from gwbench.search.false_alarms import Background, ranked
from gwbench.search.record import read_search_record, write_search_record
from gwbench.search.strain_segments import duration, strain_segments
from gwbench.search.triggers import Trigger
from gwbench.utils.files import file_digest
from tests.search import challenge
from tests.search.challenge_files import (
    SECONDS,
    SEGMENTS,
    event_columns,
    injection_columns,
    noise_columns,
    write_columns,
    write_strain,
)
from tests.search.strain import write_segments
from tests.search.test_search_record import a_record

STRETCHES = [(float(start), float(start + seconds)) for start, seconds in SEGMENTS]


def call(*words: Any) -> Result:
    result = CliRunner().invoke(gwbench, ["search", "evaluate", *map(str, words)])
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("challenge")
    injections = injection_columns()
    return {
        "strain": write_strain(folder / "foreground.hdf"),
        "injections": write_columns(folder / "injections.hdf", injections),
        "weighted": write_columns(folder / "weighted.hdf", injection_columns(chirp=True)),
        "events": write_columns(folder / "a-pipeline.hdf", event_columns(injections)),
        "noise": write_columns(folder / "noise.hdf", noise_columns()),
    }


def usual(files: dict[str, Path], injections: str = "injections") -> list[Any]:
    return ["--foreground-events", files["events"], "--background-events", files["noise"], "--injections",
            files[injections], "--foreground", files["strain"]]  # fmt: skip


def by_hand(injections: dict[str, Any], events: dict[str, Any], rate: float) -> tuple[int, int, float, float, float]:
    """Injections that count, those found, volume, its error and distance, by the loops of `challenge`."""
    which = challenge.counted(injections["tc"].tolist(), STRETCHES)
    rows = list(zip(events["time"].tolist(), events["stat"].tolist(), events["var"].tolist(), strict=True))
    loudest = challenge.loudest_true(rows, injections["tc"][which].tolist())
    masses = None
    if "chirp_distance" in injections:
        m1, m2 = injections["mass1"][which], injections["mass2"][which]
        masses = ((m1 * m2) ** 0.6 / (m1 + m2) ** 0.2).tolist()
    above = challenge.threshold(noise_columns()["stat"].tolist(), SECONDS, rate)
    assert above is not None
    return len(which), *challenge.reach(loudest, injections["distance"][which].tolist(), masses, above)


@pytest.mark.parametrize("name", ["injections", "weighted"])
def test_files_of_the_challenge_give_its_sensitive_distance(name: str, files: dict[str, Path], tmp_path: Path) -> None:
    result = call(*usual(files, name), "--far", 720, "--title", "a pipeline", "--json", "--out", tmp_path)
    record = json.loads(result.stdout)
    assert (record["kind"], record["title"], record["run"], record["livetime"]) == (
        "search",
        "a pipeline",
        None,
        SECONDS,
    )
    assert [point["far"] for point in record["reach"]] == [1000, 720, 500]
    injections = injection_columns(chirp=name == "weighted")
    for point in record["reach"]:
        n, found, volume, error, distance = by_hand(injections, event_columns(injections), point["far"])
        assert (point["injections"], point["found"]) == (n, found) and 0 < found < n < len(injections["tc"])
        assert point["volume"] == pytest.approx(volume, rel=1e-6)
        assert point["volume_error"] == pytest.approx(error, rel=1e-6)
        assert point["distance"] == pytest.approx(distance, rel=1e-6)
    assert record["injections"] == {
        "sha256": file_digest(files[name]),
        "name": files[name].name,
        "count": record["reach"][0]["injections"],
        "weighting": "chirp-distance" if name == "weighted" else "volume",
    }
    assert set(record["strain"]["files"]) == {"foreground.hdf", "a-pipeline.hdf"}
    assert record["strain"]["segments"] == [list(stretch) for stretch in STRETCHES]
    assert record["background"]["loudest"] == sorted(noise_columns()["stat"].tolist(), reverse=True)
    assert "2 h says nothing of 200, 100" in record["strain"]["notes"][0]
    assert record["triggers"][0]["rank"] == 1 and len(record["triggers"]) == 500
    assert "--title 'a pipeline'" in record["command"] and "--out" not in record["command"]
    assert read_search_record(tmp_path).model_dump(mode="json") == record


def test_the_table_says_what_the_record_says(files: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "record.json"
    lines = call(*usual(files), "--out", out).stdout.splitlines()
    record = read_search_record(out)
    assert record.title == "a-pipeline" and lines[0] == "a-pipeline"
    assert record.reach is not None
    for point in record.reach:
        (row,) = (line for line in lines if line.split()[:1] == [f"{point.far:g}"])
        assert f"{point.distance:.0f} ± {point.distance_error:.0f}" in row and f" {point.found} " in row


def test_strain_may_be_a_folder_or_a_glob_and_of_several_files(files: dict[str, Path], tmp_path: Path) -> None:
    for place, segment in enumerate(SEGMENTS):
        for detector in ("H1", "L1"):
            write_strain(tmp_path / f"{detector}-{place}.hdf", [segment], [detector])
    expected = json.loads(call(*usual(files), "--json").stdout)
    words = usual(files)[:-1]
    for strain in (tmp_path, tmp_path / "*.hdf"):
        found = json.loads(call(*words, strain, "--json").stdout)
        assert found["reach"] == expected["reach"] and found["strain"]["segments"] == expected["strain"]["segments"]


def test_a_background_of_another_length_counts_by_its_own(files: dict[str, Path], tmp_path: Path) -> None:
    noise = write_strain(tmp_path / "noise.hdf", [(1_000_000_000, 14_400)])
    record = json.loads(call(*usual(files), "--background", noise, "--json").stdout)
    assert record["background"]["livetime"] == 14_400 and record["livetime"] == SECONDS
    assert [point["far"] for point in record["reach"]] == [1000, 500, 200]


def scanned(folder: Path, columns: dict[str, Any], **more: Any) -> Path:
    """A search record as a scan leaves it, of some events."""
    rows = zip(columns["time"].tolist(), columns["stat"].tolist(), columns["var"].tolist(), strict=True)
    background = Background.of(noise_columns()["stat"], SECONDS, slides=1, zero_lag="removed")
    record = a_record()
    strain = record.strain.model_copy(update={"segments": tuple(STRETCHES)})
    emptied = {"strain": strain, "livetime": SECONDS, "reach": None, "found": None, "injections": None}
    triggers = ranked((Trigger(*row) for row in rows), background)
    update = {**emptied, "triggers": triggers, "background": background.used(), **more}
    folder.mkdir()
    write_search_record(folder, record.model_copy(update=update))
    return folder


def test_search_records_stand_for_event_files_and_strain(files: dict[str, Path], tmp_path: Path) -> None:
    expected = json.loads(call(*usual(files), "--json").stdout)
    found = scanned(tmp_path / "found", event_columns(injection_columns()))
    noise = scanned(tmp_path / "noise", noise_columns(), background=None)
    injections = ["--injections", files["injections"], "--json"]
    by_noise = json.loads(call("--foreground-events", found, "--background-events", noise, *injections).stdout)
    by_slides = json.loads(call("--foreground-events", found / "search.json", *injections).stdout)
    for record in (by_noise, by_slides):
        assert record["reach"] == expected["reach"] and record["found"] == expected["found"]
        assert record["title"] == "a method" and record["whitened_variance"] == {"H1": 1.0, "L1": 0.98}
        assert record["settings"]["stride"] == 0.1
    assert by_slides["background"]["slides"] == 1 and by_noise["background"]["source"] == "noise"


def test_several_event_files_are_one_search(files: dict[str, Path], tmp_path: Path) -> None:
    columns = event_columns(injection_columns())
    halves = [
        write_columns(tmp_path / f"{place}.hdf", {name: column[place::2] for name, column in columns.items()})
        for place in (0, 1)
    ]
    words = usual(files)[2:]
    found = call("--foreground-events", halves[0], "--foreground-events", halves[1], *words, "--json")
    assert json.loads(found.stdout)["reach"] == json.loads(call(*usual(files), "--json").stdout)["reach"]


def test_no_trigger_reaches_nothing_and_is_told(files: dict[str, Path], tmp_path: Path) -> None:
    nothing = write_columns(tmp_path / "nothing.hdf", {name: [] for name in ("time", "stat", "var")})
    lines = call("--foreground-events", nothing, *usual(files)[2:]).stdout
    assert "0 ± 0" in lines


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"--foreground": None}, "does not say which strain was searched. Name the strain with --foreground"),
        ({"--background-events": None}, "There is no background: name the events .* with --background-events"),
        ({"--far": "0"}, "--far 0: expected events a month above 0"),
        ({"--far": "nan"}, "--far nan: expected events a month above 0"),
        ({"--foreground": "nowhere-*.hdf"}, "--foreground=nowhere-.* names no strain file"),
        ({"--injections": "gone.hdf"}, "The injections file gone.hdf: there is no such file"),
        ({"--foreground-events": "gone.hdf"}, "The events file gone.hdf: there is no such file"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(
    change: dict[str, str | None], reason: str, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = usual(files)
    options = {**dict(zip(words[::2], words[1::2], strict=True)), **change}
    with pytest.raises(UserError, match=reason):
        call(*(word for name, value in options.items() if value is not None for word in (name, value)))


def test_strain_of_another_time_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lies 30 s or more within a segment"):
        call(*usual(files)[:-1], write_strain(tmp_path / "late.hdf", [(1_100_000_000, 100)]))


def test_detectors_without_a_common_second_are_refused(files: dict[str, Path], tmp_path: Path) -> None:
    early = write_strain(tmp_path / "H1.hdf", [(1_000_000_000, 100)], ["H1"])
    late = write_strain(tmp_path / "L1.hdf", [(1_000_000_100, 100)], ["L1"])
    with pytest.raises(UserError, match=r"H1 and L1 have no time in common in H1\.hdf, L1\.hdf"):
        call(*usual(files)[:-1], early, "--foreground", late)


def test_time_that_two_files_have_counts_once(tmp_path: Path) -> None:
    flat = np.full(200 * 64, 1e-21)
    for name, start in (("a", 0), ("b", 100)):
        write_segments(tmp_path / f"{name}.hdf", {"H1": [(1_000_000_000 + start, flat)]}, 64)
    segments, detectors = strain_segments([tmp_path / "a.hdf", tmp_path / "b.hdf"])
    assert duration(segments) == 300
    assert detectors == ("H1",)
