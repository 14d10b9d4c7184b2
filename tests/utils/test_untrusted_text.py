"""JSON from outside is read within bounds, and no text of it reaches a terminal as it is."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from gwbench.utils.printable import printable, printable_json, printable_lines
from gwbench.utils.untrusted_files import AbsentError, UnusableError
from gwbench.utils.untrusted_text import depth_of, parse_json, read_json, read_named


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "Expecting value"),
        (b"\xff\xfe", "utf-8"),
        (b"[" * 100_000, "nested more than 100 deep"),
        (b'{"a":' * 100_000, "nested more than 100 deep"),
        (b"[" * 101 + b"]" * 101, "nested more than 100 deep"),
        (b"9" * 5000, "5,000 digits"),
        (b"-1." + b"0" * 5000, "digits"),
        (b"1e400", "too large"),
        (b"-1e400", "too large"),
        (b"NaN", "no number of JSON"),
        (b"[-Infinity]", "no number of JSON"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' comes twice"),
        (b'"\\ud800"', "half a surrogate pair"),
        (b'{"\\uDFFF": 1}', "half a surrogate pair"),
        (b'"\xed\xa0\x80"', "utf-8"),
        (b'"unterminated', "Unterminated"),
        (b"{'a': 1}", "property name"),
        (b"[1] trailing", "Extra data"),
        (b" " * (17 * 2**20), "more than"),
    ],
)
def test_what_is_no_json_or_beyond_the_bounds_is_a_value_error(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_json(content)


@pytest.mark.parametrize(
    "value", [{"a": [1, -2.5e-300, '[[[\\"{{{', None, True]}, "\U0001f600 \u00e9", [[[]]], 10**300, ""]
)
def test_json_is_read_as_python_reads_it(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        assert parse_json(text.encode()) == value
        assert parse_json(b"\xef\xbb\xbf" + text.encode()) == value


def test_brackets_in_text_do_not_count() -> None:
    assert parse_json(json.dumps("[" * 1000).encode()) == "[" * 1000
    assert parse_json(json.dumps({'\\"[{': '"[' * 500}).encode()) == {'\\"[{': '"[' * 500}


@pytest.mark.parametrize("content", [b'"' + b'\\"' * 4_000_000, b'"' * 8_000_001, b"[" * 16_000_000, b"\\" * 8_000_000])
def test_no_text_takes_long(content: bytes) -> None:
    begun = time.process_time()
    with pytest.raises(ValueError, match=r"."):
        parse_json(content)
    assert time.process_time() - begun < 20


def test_files_of_any_kind(tmp_path: Path) -> None:
    with pytest.raises(AbsentError):
        read_json(tmp_path / "absent")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "good").write_text("[1]")
    (tmp_path / "link").symlink_to(tmp_path / "good")
    (tmp_path / "bad").write_text("\x1b[2J")
    for name in ("pipe", "folder", "link", "bad"):
        with pytest.raises(UnusableError) as caught:
            read_json(tmp_path / name)
        assert str(caught.value).isprintable()
    assert read_json(tmp_path / "good") == [1]
    with pytest.raises(UnusableError, match="MiB"):
        read_json(tmp_path / "good", largest=2)
    assert read_named(tmp_path / "link") == b"[1]"  # a file that a user names
    for name in ("pipe", "folder", "absent"):
        with pytest.raises(UnusableError):
            read_named(tmp_path / name)
    with pytest.raises(UnusableError, match="more than"):
        read_named(tmp_path / "good", 2)


def test_depth_is_counted_without_recursion() -> None:
    nested: list[object] = []
    for _ in range(50_000):
        nested = [nested]
    assert depth_of(nested) == 50_001
    documents: list[object] = [3, [], {"a": [1]}, {"a": {"b": []}}]
    assert [depth_of(each) for each in documents] == [0, 1, 2, 3]


def test_printable_text_has_one_line_and_no_control() -> None:
    assert (
        printable("a\x1b[2Jb\x9b31m\u202ec\ud800\u00e9 \u65e5\n")
        == r"a\x1b[2Jb\x9b31m\u202ec\ud800" + "\u00e9 \u65e5\\x0a"
    )
    assert printable("x" * 400) == "x" * 300 + "..."
    assert printable_lines("a\x1b\n\tb\r") == "a\\x1b\n\tb\\x0d"
    assert printable_lines("x" * 9000) == "x" * 4000 + "..."
    assert printable_lines("x" * 9000, None) == "x" * 9000


def test_printable_json_is_the_same_document() -> None:
    document = {"a\u202e": "b\x9b\x7f\U000e0001 \u00e9", "c": ["\x1b"]}
    text = printable_json(json.dumps(document, ensure_ascii=False, indent=2))
    assert all(line.isprintable() for line in text.split("\n"))
    assert "\u00e9" in text
    assert json.loads(text) == document
