"""The environment of a notebook or a container."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from gwbench.data.gwosc.fetch import strain_folder
from gwbench.data.store.cache import CacheDir
from gwbench.errors import UserError
from gwbench.registry import Registry
from gwbench.utils.paths import user_path
from tests.forked import run_forked
from tests.registry.plugin_files import ENCODER


def gwbench(
    *words: str | Path, cwd: Path, start: tuple[str, ...] = ("-m", "gwbench"), **variables: str
) -> subprocess.CompletedProcess[str]:
    """`python -m gwbench WORDS` in another environment."""
    path = os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))
    environment = {**os.environ, "PYTHONPATH": path, "GWBENCH_CACHE": str(cwd / "cache"), **variables}
    command = [sys.executable, *start, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False, timeout=300)


SIZES = ("--set", "dataset.train=8", "--set", "dataset.val=8", "--set", "dataset.test=8")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of a few windows."""
    folder = tmp_path_factory.mktemp("made")
    done = run_forked(["data", "make", "bbh", *SIZES, "--cache-dir", folder])
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("bbh-*.h5")
    return path


def test_a_notebooks_backend_does_not_matter(dataset: Path, tmp_path: Path) -> None:
    """A verb sees none of them; the next test has every kind."""
    said = gwbench("data", "plot", dataset, "--out", "p.png", cwd=tmp_path, MPLBACKEND="module://no.such")
    assert said.returncode == 0, said.stderr
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_matplotlib_is_imported_whatever_the_backend_and_leaves_the_variable(tmp_path: Path) -> None:
    code = "from gwbench.utils.matplotlib_import import import_matplotlib as i; import os, sys; mpl = i()\n"
    code += "print(os.environ['MPLBACKEND'], mpl.rcParams._get('backend') if hasattr(mpl.rcParams, '_get') else '')\n"
    code += "assert 'matplotlib.pyplot' not in sys.modules"
    of_notebooks = {"module://matplotlib_inline.backend_inline": "", "module://no.such": ""}
    for backend, chosen in {"nonsense": "", "svg": "svg", **of_notebooks}.items():
        path = os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))
        environment = {**os.environ, "MPLBACKEND": backend, "PYTHONPATH": path}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(backend)
        assert chosen in done.stdout


def _without_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for the uid of a container that has no name: neither HOME nor an entry in the list of users."""

    def none(*_: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", none)
    monkeypatch.setattr(Path, "expanduser", lambda path: none() if str(path).startswith("~") else path)
    for name in ("GWBENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_home_a_named_cache_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _without_home(monkeypatch)
    assert CacheDir(tmp_path).root == tmp_path
    monkeypatch.setenv("GWBENCH_CACHE", str(tmp_path / "named"))
    assert CacheDir().root == tmp_path / "named"
    assert strain_folder() == tmp_path / "named" / "strain"
    monkeypatch.delenv("GWBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "xdg" / name)
    assert CacheDir().root == tmp_path / "xdg" / "gwbench" / "datasets"


def test_without_a_home_and_a_cache_one_message_names_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    _without_home(monkeypatch)
    with pytest.raises(UserError, match="Name one with --cache-dir or GWBENCH_CACHE, or set XDG_CACHE_HOME"):
        CacheDir()
    with pytest.raises(UserError, match="'~/x' names no folder: HOME is not set and this user has no home folder"):
        user_path("~/x")


NOBODY = "~no-such-user-here/x"


@pytest.mark.parametrize(
    "words",
    [
        ("data", "list", "--cache-dir", NOBODY),
        ("data", "make", "bbh", "--cache-dir", NOBODY),
        ("data", "make", "g2net", "--set", f"dataset.path={NOBODY}"),
        ("data", "make", "real-noise", "--set", f"dataset.path={NOBODY}"),
        ("data", "import", "g2net", NOBODY),
        ("data", "plot", f"{NOBODY}.hdf5"),
        ("data", "fetch", "GW150914", "--out", NOBODY),
        ("run", "--out", NOBODY),
        ("run", "--plugin", f"{NOBODY}.py"),
        ("list", "--plugin", f"{NOBODY}.py"),
        ("check", f"{NOBODY}.py"),
        ("new", "encoder", "mine", "--out", NOBODY),
        ("suite", "run", NOBODY),
        ("leaderboard", NOBODY),
        ("leaderboard", "runs", "--output", NOBODY),
        ("report", NOBODY),
        ("compare", NOBODY, "runs"),
    ],
    ids=" ".join,
)
def test_a_path_of_an_unknown_user_is_one_message(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gwbench.cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["gwbench", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "there is no user 'no-such-user-here'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


ONE_AFTER_THE_OTHER = """
import contextlib, io, json, sys
from gwbench.cli.main import main
ends = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["gwbench", *words]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            main()
        except SystemExit as stop:
            ends.append((stop.code, said.getvalue()))
print(json.dumps(ends))
"""
"""Several commands in one process, which imports everything once; the exit code of each, and what it said."""


def test_docstrings_and_asserts_may_be_stripped(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(ENCODER.format(name="mine"))
    run = ["run", "--baseline", "random-init", "--plugin", "mine.py", "--encoder", "mine", "--quiet"]
    for name in ("train", "val", "test"):
        run += ["--set", f"dataset.{name}=64"]
    commands = [
        ["show", "encoder", "cnn1d"],
        ["list", "encoder", "--plugin", "mine.py"],
        ["check", "mine.py"],
        run,
    ]
    said = gwbench(
        json.dumps(commands), cwd=tmp_path, start=("-c", ONE_AFTER_THE_OTHER), PYTHONOPTIMIZE="2",
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    ends = json.loads(said.stdout.splitlines()[-1])
    assert [code for code, _ in ends] == [0, 0, 0, 0], said.stderr + said.stdout
    assert "GeM" in ends[0][1]  # read from the source
    assert "A toy." in ends[1][1]


def test_a_code_identity_does_not_depend_on_optimisation(tmp_path: Path, registry: Registry) -> None:
    code = "from gwbench.registry import REGISTRY; print(REGISTRY.get('encoder', 'cnn1d').source_hash)"
    path = os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))
    done = subprocess.run(
        [sys.executable, "-OO", "-c", code],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == registry.get("encoder", "cnn1d").source_hash
