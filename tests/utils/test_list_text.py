"""Lists as text: whatever a path may hold comes back."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gwbench.utils.list_text import list_from_text, list_to_text


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("H1,L1", ["H1", "L1"]),
        (" H1 , L1 ,", ["H1", "L1"]),
        ("", []),
        ('"noise, O3a/H1.hdf"', ["noise, O3a/H1.hdf"]),
        ('"noise, O3a/H1.hdf",L1.hdf', ["noise, O3a/H1.hdf", "L1.hdf"]),
        ('L1.hdf , "a ""b"", c"', ["L1.hdf", 'a "b", c']),
        ('["noise, O3a/H1.hdf"]', ["noise, O3a/H1.hdf"]),
        ("[8, 20.5]", [8, 20.5]),
        ("[HL]1*.hdf,V1.hdf", ["[HL]1*.hdf", "V1.hdf"]),  # a pattern, and no JSON
        ('"a,b', ['"a', "b"]),  # a quote that is not closed is a letter
        ('5" dish/H1.hdf,L1.hdf', ['5" dish/H1.hdf', "L1.hdf"]),
        ('"a"b,c', ['"a"b', "c"]),
        ("[" * 100_000, ["[" * 100_000]),
        ("[" + "1" * 5000 + "]", ["[" + "1" * 5000 + "]"]),
    ],
)
def test_texts_and_their_items(text: str, items: list[object]) -> None:
    assert list_from_text(text) == items


@pytest.mark.parametrize(
    ("items", "text"), [(("H1", "L1"), "H1,L1"), ((8.0, 20.0), "8.0,20.0"), ((), ""), ((1, 2, 3), "1,2,3")]
)
def test_ordinary_lists_are_written_as_ever(items: tuple[object, ...], text: str) -> None:
    assert list_to_text(items) == text


NASTY = [
    "a, b",
    'say "x"',
    " lead",
    "trail ",
    "[1]",
    '["x"]',
    "#hash",
    "ünï/码",
    "two\nlines",
    "",
    "none",
    "null",
    "'",
    "\t",
]


@pytest.mark.parametrize("path", NASTY)
def test_any_path_comes_back(path: str) -> None:
    assert list_from_text(list_to_text([path])) == [path]
    assert list_from_text(list_to_text([path, "b"])) == [path, "b"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4))
def test_any_texts_come_back(items: list[str]) -> None:
    assert list_from_text(list_to_text(items)) == items


@given(st.text())
def test_any_text_is_some_list(text: str) -> None:
    assert isinstance(list_from_text(text), list)


def test_bash_gives_the_text_back() -> None:
    text = list_to_text(NASTY)
    done = subprocess.run(["bash", "-c", f"printf %s {shlex.quote(text)}"], capture_output=True, check=True)
    assert list_from_text(done.stdout.decode()) == NASTY
