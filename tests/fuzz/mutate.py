"""Seeded mutations of good inputs: of their bytes, of text, of JSON trees, of HDF5 objects and of NumPy archives."""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import zipfile
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)

WORDS = (
    "nan", "inf", "-inf", "1e400", "-1", "0", "-0.0", "1e-400", "9" * 5000, "0x10", "1_000", "true", "null", "~", "''",
    "[]", "{}", "[" * 3000, "{" * 3000, '{"a":' * 2000, "\x1b[31mred", "\x00", "\ufeff", "\u202e", "../../etc/passwd",
    "/dev/zero", "a" * 20_000, "%s%n", "__class__", '!!python/object/apply:os.system ["touch canary"]', "&a [*a]",
    "<<: *x", "1979-05-27T07:32:00Z", "\r\n\r\n", ",,,,", ";", "\t", '"', "'''", "#", "= = =", "[[a]]", "1e308",
    "2147483648", "\ud800", "\u0661\u0662",
)  # fmt: skip
"""What stands where something else is expected."""

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**400, 1e308, -1e308, float("nan"), float("inf"), 5e-324, "",
    "x", "\x1b[2J", "\ud800", "a" * 10_000, "nan", "1e400", [], {}, [[]], [None] * 50, {"": ""}, {"a": {"b": {"c": 1}}},
    [1, "a", None], ["H1"] * 3,
)  # fmt: skip
"""What stands for a value of a tree."""


def of_bytes(content: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """One to eight small damages: bits, bytes, lengths, cuts, repeats and pieces of other inputs."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        if not data:
            return bytes(rng.randbytes(rng.randrange(64)))
        place, kind = rng.randrange(len(data)), rng.randrange(9)
        if kind <= 1:
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 2:
            data[place] = rng.randrange(256)
        elif kind <= 4:
            size = rng.choice((1, 2, 4, 8))
            number = rng.choice(INTERESTING) & (256**size - 1)
            data[place : place + size] = number.to_bytes(size, rng.choice(("little", "big")))
        elif kind == 5:
            del data[place : place + rng.choice((1, 2, 8, 64, len(data)))]
        elif kind == 6:
            data[place:place] = rng.randbytes(rng.choice((1, 4, 64)))
        elif kind == 7:
            end = place + rng.randrange(1, 256)
            data[place:place] = data[place:end] * rng.choice((1, 2, 20))
        else:
            other = rng.choice(others) if others else bytes(data)
            begin = rng.randrange(max(1, len(other)))
            piece = other[begin : begin + rng.randrange(1, 2048)]
            data[place : place + (len(piece) if rng.random() < 0.5 else 0)] = piece
    return bytes(data)


def of_frame(content: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """Numbers of a GWF frame replaced in a file without a checksum, so that they reach LAL; seldom other damages."""
    if rng.random() < 0.2:
        return of_bytes(content, rng, others)
    data = bytearray(content)
    for _ in range(rng.choice((1, 2, 4, 16))):
        place, size = rng.randrange(40, len(data) - 40), rng.choice((1, 2, 4, 8))
        number = rng.choice((*INTERESTING, rng.randrange(2**64))) & (256**size - 1)
        data[place : place + size] = number.to_bytes(size, "little")
    data[-4:] = bytes(4)
    return bytes(data)


def of_text(content: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """Words, numbers and lines replaced, repeated, moved and removed; sometimes bytes."""
    if rng.random() < 0.2:
        return of_bytes(content, rng, others)
    text = content.decode("utf-8", "surrogateescape")
    for _ in range(rng.choice((1, 1, 2, 4))):
        tokens = list(re.finditer(r"[^\s,:=\[\]{}\"']+|[\s,:=\[\]{}\"']", text))
        if not tokens:
            return rng.choice(WORDS).encode("utf-8", "surrogatepass")
        token, kind = rng.choice(tokens), rng.randrange(6)
        if kind <= 2:
            text = text[: token.start()] + rng.choice(WORDS) + text[token.end() :]
        elif kind == 3:
            text = text[: token.start()] + text[token.end() :]
        else:
            lines = text.splitlines(keepends=True)
            place = rng.randrange(len(lines))
            piece = lines[place : place + rng.choice((1, 1, 3, 10))]
            if kind == 4:
                lines[place:place] = piece * rng.choice((1, 2, 50))
            else:
                del lines[place : place + len(piece)]
                lines[rng.randrange(len(lines) + 1) : 0] = piece if rng.random() < 0.5 else []
            text = "".join(lines)
        text = text[:200_000]
    return text.encode("utf-8", "surrogatepass" if rng.random() < 0.5 else "replace")


def of_json(content: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """Values of a tree replaced by others of any type; sometimes text or bytes."""
    if rng.random() < 0.3:
        return of_text(content, rng, others)
    tree = json.loads(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        tree = _change(tree, rng)
    text = json.dumps(tree)
    if rng.random() < 0.1:
        text = text.replace("null", rng.choice(("1e999", "9" * 5000, "[" * 5000 + "]" * 5000)))
    return text.encode("utf-8", "surrogatepass")


def of_json_lines(content: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """One line of several JSON documents changed, moved or repeated; sometimes text or bytes."""
    if rng.random() < 0.3:
        return of_text(content, rng, others)
    lines = content.splitlines()
    place = rng.randrange(len(lines))
    if rng.random() < 0.2:
        lines.insert(rng.randrange(len(lines)), lines[place])
    else:
        lines[place] = of_json(lines[place], rng)
    return b"\n".join(lines) + b"\n"


def _change(tree: Any, rng: random.Random) -> Any:
    places: list[tuple[Any, Any]] = []

    def visit(node: Any) -> None:
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in list(items):
            places.append((node, key))
            visit(value)

    visit(tree)
    if not places or rng.random() < 0.02:
        return deepcopy(rng.choice(VALUES))
    node, key = rng.choice(places)
    kind = rng.randrange(5)
    if kind <= 2:
        node[key] = deepcopy(rng.choice(VALUES))
    elif kind == 3:
        del node[key]
    elif isinstance(node, list):
        node[key:key] = [deepcopy(node[key]) for _ in range(rng.choice((1, 3, 100)))]
    else:
        node[rng.choice(("extra", "", "\x1b[31m", "__proto__"))] = deepcopy(node[key])
    return tree


def of_hdf5(content: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """Attributes and datasets of other types, sizes and places, links and loops; more often bytes."""
    if rng.random() < 0.6:
        return of_bytes(content, rng, others)
    import h5py

    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        names = ["/"]
        file.visit(names.append)
        for _ in range(rng.choice((1, 1, 2, 4))):
            name = rng.choice(names)
            try:
                _damage(file, name, rng)
            except (KeyError, ValueError, TypeError, OSError, RuntimeError):
                continue
    data = buffer.getvalue()
    return of_bytes(data, rng) if rng.random() < 0.1 else data


def _damage(file: Any, name: str, rng: random.Random) -> None:
    """One change of one object."""
    import h5py
    import numpy as np

    item = file[name]
    values: list[Callable[[], Any]] = [
        lambda: rng.choice((0, -1, 2**63 - 1, 1e308, float("nan"), float("inf"), 5e-324)),
        lambda: rng.choice(("", "x" * 10_000, "\x1b[31m", "nan", "H1", "1e400")),
        lambda: np.zeros(rng.choice((0, 2, 5000))),
        lambda: np.array([b"a", b"bc"]),
        lambda: np.zeros(2, [("a", "f8"), ("b", "i4")]),
        lambda: h5py.Empty("f8"),
        lambda: item.ref,
        lambda: np.bool_(True),
        lambda: np.complex128(1j),
        lambda: np.array(["a", "b"], object),
    ]
    kind = rng.randrange(8)
    if kind <= 3:
        known = list(item.attrs)
        key = rng.choice([*known, *known, "delta_f", "delta_t", "start_time", "x0", "dx", "detector", "unit"])
        del_first = key in item.attrs and rng.random() < 0.2
        if del_first:
            del item.attrs[key]
        else:
            item.attrs[key] = rng.choice(values)()
    elif kind == 4 and name != "/":
        del file[name]
        if rng.random() < 0.5:
            file.create_group(name)
        else:
            file[name] = rng.choice(values)()
    elif kind == 5:
        target = rng.choice((h5py.SoftLink("/"), h5py.SoftLink("/nowhere"), h5py.ExternalLink("/etc/passwd", "/x")))
        file[f"link{rng.randrange(9)}"] = target
    elif kind == 6:
        shape = rng.choice(((0,), (), (2**40,), (2**20, 2**20), (1, 1, 1, 1), (3, 5)))
        where = name if name != "/" and rng.random() < 0.7 else "huge"
        attributes = dict(item.attrs)
        if where in file:
            del file[where]
        chunks = tuple(min(max(1, side), 1024) for side in shape) or None
        made = file.create_dataset(where, shape, rng.choice(("f8", "f4", "i8", "S3")), chunks=chunks)
        made.attrs.update(attributes)
    else:
        layout = h5py.VirtualLayout((8,), "f8")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", (8,))
        file.create_virtual_dataset(f"virtual{rng.randrange(9)}", layout)


def of_npy(content: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """Headers of arrays with other shapes and types; more often bytes near the beginning."""
    if rng.random() < 0.5:
        head = of_bytes(content[:128], rng, others)
        return head + content[128:]
    shapes = ("(99999999999,)", "(2, -3)", "()", "(0,)", "[4]", "(1e9,)", "(" * 300, "(None,)", "(True,)", "(2**40,)")
    types = ("'|O'", "'<f8'", "'<U1000000'", "[('a','|O')]", "'nan'", "b''", "{}", "'<M8[ns]'", "None", "'V0'")
    header = f"{{'descr': {rng.choice(types)}, 'fortran_order': {rng.choice(('True', 'False', '1', 'x'))}, "
    header += f"'shape': {rng.choice(shapes)}, }}"
    text = header.encode().ljust(117) + b"\n"
    magic = b"\x93NUMPY" + bytes((rng.choice((1, 1, 1, 2, 3, 9)), 0))
    return magic + len(text).to_bytes(2, "little") + text + content[128:]


def of_npz(content: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """Members replaced, removed, emptied, compressed from nothing, with other headers; more often bytes."""
    if rng.random() < 0.4:
        return of_bytes(content, rng, others)
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(made, "w") as target:
        names = source.namelist()
        chosen = rng.choice(names)
        for name in names:
            member = source.read(name)
            if name == chosen:
                kind = rng.randrange(6)
                if kind == 0:
                    continue
                if kind == 1:
                    member = b""
                elif kind == 2:
                    member = source.read(rng.choice(names))
                elif kind == 3:
                    head = member[:128].replace(b"'shape': (", b"'shape': (10000000,")[:128]
                    target.writestr(name, head + bytes(2**24), zipfile.ZIP_DEFLATED)
                    continue
                else:
                    member = of_npy(member, rng)
            target.writestr(name, member)
    return made.getvalue()


def folder(source: Path, target: Path, name: str, content: bytes) -> None:
    """A copy of a folder in which one file is another."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    (target / name).write_bytes(content)


KINDS: dict[str, Callable[[bytes, random.Random, Sequence[bytes]], bytes]] = {
    "bytes": of_bytes,
    "frame": of_frame,
    "text": of_text,
    "json": of_json,
    "json-lines": of_json_lines,
    "hdf5": of_hdf5,
    "npy": of_npy,
    "npz": of_npz,
}
