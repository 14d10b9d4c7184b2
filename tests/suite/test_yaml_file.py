from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from gwbench.errors import UserError
from gwbench.suite.yaml_file import read_yaml

TEXT = """\
about: 'a: b'
seeds: [0,
  1]
datasets:
  - name: bbh
    snr: [6, 20.5]
  - g2net
training: {lr: 1.0e-3, none: null, on: true}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "suite.yaml"
    path.write_text(text)
    return path


def test_plain_data_are_those_of_the_safe_loader_and_every_place_has_its_line(tmp_path: Path) -> None:
    text = TEXT.replace("on: true", "'on': true")
    document = read_yaml(written(tmp_path, text))
    assert document.data == yaml.safe_load(text)
    expected = {("about",): 1, ("seeds", 1): 3, ("datasets", 0, "snr"): 6, ("datasets", 1): 7, ("training", "lr"): 8}
    assert {place: document.lines[place] for place in expected} == expected
    assert str(document.error(("datasets", 0, "snr", 9), "no.")).endswith("suite.yaml, line 6, datasets[0].snr: no.")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: !!python/object/apply:os.system ['touch owned']\n", 2, "!!python/object/apply:os.system is refused"),
        ("!!python/object:gwbench.experiment.spec.RunSpec {}\n", 1, "nothing that builds objects"),
        ("a: 1\n? !!python/name:os.system\n: 2\n", 2, "is refused"),
        ("a: !mine 3\n", 1, "!mine is refused"),
        ("a: 1\nb: 2020-01-01\n", 2, "!!timestamp is refused"),
        ("a: &x [1]\nb: *x\n", 2, "the alias *x is refused"),
        ("a: {<<: {b: 1}}\n", 1, "!!merge is refused"),
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' comes twice"),
        ("a: 1\n2: 3\n", 2, "the key 2 is not text"),
        ("a: 1\nb: [1,\nc: 2\n", 4, "this is not YAML"),
        ("a: 1\n\tb: 2\n", 2, "this is not YAML"),
    ],
)
def test_what_is_not_plain_data_is_refused_with_its_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read_yaml(written(tmp_path, text))
    assert f"suite.yaml, line {line}" in str(caught.value)
    assert message in str(caught.value)
    assert not Path("owned").exists()


def test_files_that_are_no_text_are_one_message(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_yaml(tmp_path / "none.yaml")
    for content in (b"\xff\xfe\x00", b"a: \x00"):
        (tmp_path / "bytes.yaml").write_bytes(content)
        with pytest.raises(UserError, match=r"UTF-8|not YAML"):
            read_yaml(tmp_path / "bytes.yaml")
    (tmp_path / "deep.yaml").write_text("[" * 1500)
    with pytest.raises(UserError, match="not YAML"):
        read_yaml(tmp_path / "deep.yaml")


BOMB = "a: &a [x]\n" + "\n".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in pairwise("abcdefghij"))
"""Ten lines for 9^9 values."""


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 100_000,
        "a: " + "{a: " * 100_000,
        "[" * 60 + "]" * 60,
        "\n".join(" " * n + "a:" for n in range(500)),
        "- " * 5000 + "x",
        "a: " + "9" * 5000,
        "a: 1" + ":59" * 5000,
        "a: 0x" + "f" * 5000,
        "a: " + "9" * 400 + ".0",
        BOMB,
        "a: &a [*a]",
        "? [1, 2]\n: 3",
        "a: !!python/object/apply:os.system ['true']",
        "a: \x1b[2J",
        '"\\ud800": 1\n"\\ud800": 2',
        "a: *" + "\u202e" * 50,
        "%YAML 9.9\n---\na: 1",
        "--- a\n--- b",
    ],
)
def test_whatever_a_file_holds_is_data_or_one_message(tmp_path: Path, text: str) -> None:
    path = tmp_path / "suite.yaml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(UserError) as caught:
        read_yaml(path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 800


def test_pipes_folders_links_and_large_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_bytes(b"#" * (5 * 2**20))
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    for name in ("pipe", "folder", "large", "broken"):
        with pytest.raises(UserError, match=name):
            read_yaml(tmp_path / name)
    written(tmp_path, "\ufeffa: 1")
    (tmp_path / "link").symlink_to(tmp_path / "suite.yaml")
    assert read_yaml(tmp_path / "link").data == {"a": 1}
