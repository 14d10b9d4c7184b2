"""A user's mistake ends in one message and exit code 2, and leaves nothing that a later command would trust."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest

from gwbench.cli.main import main
from gwbench.contracts import Array
from gwbench.registry import Registry
from tests.forked import run_forked

RATE = 2048
SIZES = ("dataset.train=64", "dataset.val=32", "dataset.test=32")
SMALL = ("encoder.width=4", "encoder.embed_dim=8", "encoder.stride=8", "training.epochs=1", "training.batch_size=16",
         "objective.hidden_dim=8", "objective.output_dim=8")  # fmt: skip
UNTRUSTED = {"record.json", "last.ckpt", ".lock"}
"""What a failed run may leave: a record that says so, a checkpoint to go on from, the folder's lock."""


def settings(*pairs: str) -> tuple[str, ...]:
    return tuple(word for pair in pairs for word in ("--set", pair))


BBH = ("run", *settings(*SMALL, *SIZES))
G2NET = ("run", "--dataset", "g2net", *settings(*SMALL, "dataset.val_fraction=0.25", "dataset.test_fraction=0.25"))
REAL = ("run", "--dataset", "real-noise", *settings(*SMALL, *SIZES))


@dataclass
class CommandLine:
    """`gwbench WORDS` in this process; runs go to `runs`."""

    runs: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        if words[:1] == ("run",):
            words = (*words, "--quiet", *(() if "--out" in words else ("--out", str(self.runs))))
        self.monkeypatch.setattr(sys, "argv", ["gwbench", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        assert isinstance(stop.value.code, int)
        return stop.value.code, *self.capsys.readouterr()

    def refuses(self, *words: str, says: tuple[str, ...]) -> str:
        """Check that a command is refused for good, naming each of `says`; its message."""
        code, out, message = self(*words)
        assert (code, out) == (2, ""), message
        assert message.startswith("Error: ")
        assert message.count("\n") == 1
        for text in says:
            assert text in message
        self.left_nothing_to_trust()
        assert self(*words) == (2, "", message)
        return message

    def left_nothing_to_trust(self) -> None:
        """No run folder looks like one of a finished run."""
        for path in self.runs.rglob("*"):
            assert path.is_dir() or path.name in UNTRUSTED, path
            if path.name == "record.json":
                record = json.loads(path.read_text())
                assert (record["status"], record["metrics"]) == ("failed", None)
                assert record["reason"]


@pytest.fixture
def gwbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path / "runs", monkeypatch, capsys)


# --- names, parameters, options ---


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("--encoder cnn2d", ("no encoder 'cnn2d'", "Did you mean 'cnn1d'?", "`gwbench list encoder`")),
        ("--pairing nonesuch", ("no pairing 'nonesuch'", "cross-detector", "`gwbench list pairing`")),
        ("--augment nonesuch", ("no augmentation 'nonesuch'", "noise-injection", "gwbench list augmentation")),
        ("--loss barlo", ("no objective 'barlo'", "Did you mean 'barlow'?", "`gwbench list objective`")),
        ("--baseline nonesuch", ("no baseline 'nonesuch'", "random-init", "`gwbench list baseline`")),
        ("--dataset bhb", ("no dataset 'bhb'", "Did you mean 'bbh'?", "`gwbench list dataset`")),
    ],
)
def test_unknown_plugin(gwbench: CommandLine, command: str, says: tuple[str, ...]) -> None:
    gwbench.refuses("run", *command.split(), says=says)


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("encoder.widht=3", ("encoder 'cnn1d' has no parameter 'widht'", "Did you mean 'width'?", "width: int (at")),
        ("dataset.trian=3", ("dataset 'bbh' has no parameter 'trian'", "Did you mean 'train'?", "sample_rate: float")),
        ("training.epoch=3", ("training has no setting 'epoch'", "Did you mean 'epochs'?", "batch_size")),
        ("evaluation.k=3", ("evaluation has no setting 'k'", "label_fraction")),
        ("conditioning.hihg=3", ("conditioning has no setting 'hihg'", "Did you mean 'high'?")),
        ("encoder.width=many", ("encoder.width='many' is not valid", "integer", "at least 2", "= 32")),
        ("encoder.width=3", ("encoder.width='3' is not valid", "a multiple of 2")),
        ("encoder.stride=3", ("encoder.stride='3' is not valid", "1, 2, 4 or 8")),
        ("objective.lambda_param=-1", ("objective.lambda_param='-1' is not valid", "above 0", "0.0051")),
        ("dataset.preset=fast", ("dataset.preset='fast' is not valid", "quick or g2net-like")),
        ("dataset.snr=6", ("snr = 6", "snr_model = uniform", "snr = LOW,HIGH")),
        ("dataset.snr=20,6", ("snr = 20,6", "the lower first")),
        ("dataset.duration=inf", ("dataset.duration='inf' is not valid", "finite number")),
        ("dataset.sample_rate=nan", ("dataset.sample_rate='nan' is not valid", "above 0")),
        ("dataset.detectors=H1,X1", ("X1", "H1, L1, V1")),
        ("training.epochs=few", ("training.epochs='few' is not valid", "integer")),
        ("training.optimizer=adam", ("training.optimizer='adam' is not valid", "'adamw' or 'lars'")),
        ("conditioning.low=700", ("conditioning.low=700", "conditioning.high=600", "0 < low < high")),
        ("encodr.width=3", ("no setting 'encodr.width'", "Did you mean 'encoder'?", "Settings start with")),
        ("width=3", ("no setting 'width'", "Settings start with dataset, encoder")),
        ("encoder.width", ("'encoder.width'", "SECTION.NAME=VALUE", "encoder.width=32")),
        ("=3", ("'=3'", "SECTION.NAME=VALUE")),
        ("augmentation.scale=2", ("'augmentation.scale'", "this run does not have")),
        ("baseline.x=2", ("'baseline.x'", "this run has none")),
    ],
)
def test_bad_setting(gwbench: CommandLine, pair: str, says: tuple[str, ...]) -> None:
    message = gwbench.refuses("run", *settings(pair), says=says)
    assert "Annotated" not in message
    assert not gwbench.runs.exists()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("--set encoder.width=4 --set encoder.width=8", ("encoder.width is given twice: '4' and '8'",)),
        ("--epochs 3 --set training.epochs=4", ("--epochs and --set training.epochs", "one of them")),
        ("--epochs -1", ("epochs=-1", "1")),
        ("--epochs few", ("--epochs", "'few'", "whole number", "`gwbench run --help`")),
        ("--batch-size 1", ("batch_size=1", "2")),
        ("--lr 0", ("lr=0.0 is not valid", " 0.")),
        ("--lr nan", ("lr=nan is not valid", "finite number")),
        ("--lr inf", ("lr=inf is not valid", "finite number")),
        ("--label-fraction -0.1", ("label_fraction=-0.1 is not valid", " 0")),
        ("--label-fraction 1.5", ("label_fraction=1.5 is not valid", " 1.")),
        ("--seed -1", ("seed=-1", "0")),
        ("--data-seed -1", ("data_seed=-1", "0")),
        ("--workers 0", ("--workers", "0", "`gwbench run --help`")),
        ("--device tpu", ("'tpu'", "auto, cpu, cuda, cuda:N or mps")),
        ("--device cuda:x", ("'cuda:x'", "auto, cpu, cuda, cuda:N or mps")),
        ("--device cuda:99", ("'cuda:99' is not available", "--device cpu")),
        ("--precision fp16", ("'fp16'", "auto, fp32 or bf16")),
        ("--baseline random-init --loss barlow", ("'random-init' has no objective", "--loss barlow")),
        ("--baseline random-init --pairing cross-detector", ("has no pairing", "leave out --pairing")),
        ("--plugin missing.py", ("no plugin file missing.py", "--plugin")),
        ("--plugin missing_module", ("no plugin file or module 'missing_module'", "path ending in .py")),
        ("--dataset g2net", ("g2net", "--set dataset.path=DIR")),
        ("--dataset real-noise", ("real-noise", "--set dataset.path=FILE")),
        ("--colour", ("--colour", "`gwbench run --help`")),
        ("extra", ("extra", "`gwbench run --help`")),
    ],
)
def test_bad_option(gwbench: CommandLine, command: str, says: tuple[str, ...]) -> None:
    gwbench.refuses("run", *command.split(), says=says)
    assert not gwbench.runs.exists()


def test_cuda_where_there_is_none(gwbench: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    gwbench.refuses("run", "--device", "cuda", says=("'cuda' is not available", "--device auto or --device cpu"))


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("rnu", ("no verb 'rnu'", "Did you mean 'run'?", "doctor")),
        ("show encoder", ("Which encoder?", "`gwbench show encoder NAME`")),
        ("show encodr cnn1d", ("no plugin kind 'encodr'", "Did you mean 'encoder'?")),
        ("show encoder cnn1", ("no encoder 'cnn1'", "Did you mean 'cnn1d'?")),
        ("data lst", ("'lst'", "`gwbench data --help`")),
        ("data info nonesuch", ("no entry 'nonesuch'", "`gwbench data list`")),
        ("data info ../x", ("'../x'", "not a path")),
        ("data verify", ("--all", "`gwbench data list`")),
        ("data clear x --all", ("--all", "`gwbench data list`")),
    ],
)
def test_bad_verb(gwbench: CommandLine, command: str, says: tuple[str, ...]) -> None:
    gwbench.refuses(*command.split(), says=says)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def broken(:\n", ("SyntaxError", "mine.py, line 1")),
        ("import no_such_module\n", ("No module named 'no_such_module'",)),
        ("raise SystemExit(0)\n", ("SystemExit",)),
        ("width = 3\n", ("it registers no plugin", "gwbench.register")),
    ],
)
def test_plugin_file_that_cannot_be_used(
    gwbench: CommandLine, registry: Registry, source: str, says: tuple[str, ...]
) -> None:
    Path("mine.py").write_text(source)
    says = ("no encoder 'mine'", "mine.py cannot be used", *says, "`gwbench list encoder`")
    gwbench.refuses("run", "--plugin", "mine.py", "--encoder", "mine", says=says)


# --- a run that its data do not allow ---


@pytest.mark.parametrize(
    ("pairs", "words", "says"),
    [
        (("dataset.sample_rate=1024",), (), ("1024 Hz is below twice", "600 Hz", "conditioning.high below 512")),
        (("dataset.sample_rate=1200",), (), ("1200 Hz is twice", "600 Hz", "conditioning.high below 600")),
        (("conditioning.high=1500",), (), ("2048 Hz is below twice", "1500 Hz", "conditioning.high below 1024")),
        (("dataset.duration=0.5",), (), ("1024 samples", "windows as short as")),
        (("pairing.groups=H1|L1|V1",), (), ("'H1|L1|V1' has 3", "two groups")),
        (("pairing.groups=H1,L1|X1",), (), ("'H1,L1|X1'", "H1, L1, V1", "'H1,L1|V1'")),
        ((), ("--encoder-groups", "H1|L1"), ("'H1|L1'", "H1, L1, V1", "'shared', 'each'")),
        ((), ("--encoder-groups", "H1,L1|V1,H1"), ("'H1,L1|V1,H1'", "each of H1, L1, V1 once")),
    ],
)
def test_run_that_the_data_do_not_allow(
    gwbench: CommandLine, pairs: tuple[str, ...], words: tuple[str, ...], says: tuple[str, ...]
) -> None:
    gwbench.refuses(*BBH, *settings(*pairs), *words, says=says)


def test_batch_larger_than_the_data(gwbench: CommandLine) -> None:
    words = [word.replace("batch_size=16", "batch_size=65") for word in BBH]
    gwbench.refuses(*words, says=("batch of 65", "training split of 64", "--batch-size"))


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_place_that_cannot_be_written(gwbench: CommandLine, place: str) -> None:
    Path("file").write_text("in the way")
    gwbench.refuses(*BBH, "--cache-dir", place, says=("cache folder", place, "--cache-dir or GWBENCH_CACHE"))
    gwbench.refuses(*BBH, "--out", place, says=("Cannot write", place, "--out"))
    gwbench.refuses("data", "list", "--cache-dir", place, says=("cache folder", place, "--cache-dir"))
    assert Path("file").read_text() == "in the way"


# --- the G2Net folder ---


def name_of(number: int) -> str:
    """Ids spread over folders, ten digits as in the challenge."""
    return f"{number:010d}"[::-1]


def place_of(root: Path, number: int) -> Path:
    name = name_of(number)
    return root / "train" / name[0] / name[1] / name[2] / f"{name}.npy"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small, valid G2Net folder."""
    rng = np.random.default_rng(0)
    root = tmp_path / "g2net"
    for number in range(40):
        path = place_of(root, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, 1e-21 * rng.standard_normal((3, 4096)))
    lines = [f"{name_of(number)},{number % 2}" for number in range(40)]
    (root / "training_labels.csv").write_text("\n".join(["id,target", *lines, ""]))
    return root


def g2net(root: Path) -> tuple[str, ...]:
    return (*G2NET, *settings(f"dataset.path={root}"))


def test_g2net_folder_that_is_none(gwbench: CommandLine, tmp_path: Path) -> None:
    expected = "Expected a G2Net folder with training_labels.csv and train/a/b/c/abc*.npy"
    gwbench.refuses(*g2net(tmp_path / "gone"), says=("gone is not a folder", expected))
    gwbench.refuses(*g2net(tmp_path), says=("train is not a folder", expected))
    (tmp_path / "train").mkdir()
    gwbench.refuses(*g2net(tmp_path), says=("training_labels.csv is not a file", expected))


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ("", ("line 1", "expected columns id,target", "an empty line")),
        ("name,label\nabc,1\n", ("line 1", "expected columns id,target", "found name,label")),
        ("id,target\n", ("no line after it", "Expected id,target")),
        ("id,target\nabc,1\nabd,0\nabc,1\n", ("line 4", "id abc is there twice", "Keep one")),
        ("id,target\nabc,2\n", ("line 2", "'abc,2'", "target of 0 or 1")),
        ("id,target\n../x,1\n", ("line 2", "'../x,1'", "letters and digits")),
        ("id,target\nabc\n", ("line 2", "'abc'", "id,target")),
    ],
    ids=["empty", "columns", "header alone", "duplicate", "target", "path", "short line"],
)
def test_labels_file(gwbench: CommandLine, folder: Path, labels: str, says: tuple[str, ...]) -> None:
    (folder / "training_labels.csv").write_text(labels)
    gwbench.refuses(*g2net(folder), says=(str(folder / "training_labels.csv"), *says))


def test_labels_of_one_class(gwbench: CommandLine, folder: Path) -> None:
    path = folder / "training_labels.csv"
    path.write_text(path.read_text().replace(",1\n", ",0\n"))
    gwbench.refuses(*g2net(folder), says=("training split has no signal window with a label", "both classes"))


class Payload:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch executed",)


def pickled(path: Path) -> None:
    """An array of objects, of the size of a valid file."""
    size = path.stat().st_size
    np.save(path, np.array([Payload()], dtype=object), allow_pickle=True)
    path.write_bytes(path.read_bytes().ljust(size, b"\0"))


def with_nan(path: Path) -> None:
    strain = np.load(path)
    strain[1, 7] = np.nan
    np.save(path, strain)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            lambda path: path.write_bytes(path.read_bytes()[:-8]),
            ("truncated", "98424 bytes", "again or delete"),
        ),
        (lambda path: path.write_bytes(bytes(path.stat().st_size)), ("cannot be read as .npy", "Check what it is")),
        (pickled, ("cannot be read as .npy", "pickled", "Save it as float64")),
        (lambda path: np.save(path, np.zeros((3, 2048))), ("(3, 2048)", "shape (3, 4096). Save it")),
        (lambda path: np.save(path, np.zeros((4096, 3))), ("shape (4096, 3)", "shape (3, 4096). Save it")),
        (lambda path: np.save(path, np.ones((3, 4096), dtype=np.int64)), ("int64", "shape (3, 4096). Save it")),
        (with_nan, ("NaN or infinite strain", "Replace it")),
    ],
    ids=["truncated", "zeros for a header", "pickled", "short", "transposed", "integers", "nan"],
)
@pytest.mark.parametrize("number", [3, 29], ids=["one file", "another file"])
def test_strain_file_of_g2net(
    gwbench: CommandLine, folder: Path, spoil: Callable[[Path], object], number: int, says: tuple[str, ...]
) -> None:
    path = place_of(folder, number)
    spoil(path)
    gwbench.refuses(*g2net(folder), says=(str(path), *says))
    assert not Path("executed").exists()


# --- real strain ---


def hdf5(name: str, strain: Array | None = None, rate: float = RATE) -> str:
    """An HDF5 file with or without strain."""
    with h5py.File(name, "w") as file:
        file["masses"] = np.ones((2, 2))
        if strain is not None:
            dataset = file.create_dataset("data", data=strain)
            dataset.attrs.update({"start_time": 1e9, "delta_t": 1 / rate})
    return name


def noise(seconds: float) -> Array:
    strain: Array = 1e-21 * np.random.default_rng(1).standard_normal(round(seconds * RATE))
    return strain


def truncated() -> str:
    path = Path(hdf5("truncated.hdf", noise(60)))
    path.write_bytes(path.read_bytes()[:100_000])
    return str(path)


def text() -> str:
    Path("text.hdf").write_text("no HDF5")
    return "text.hdf"


def with_gaps() -> str:
    strain = noise(60)
    strain[::RATE] = np.nan
    return hdf5("gaps.hdf", strain)


def without_rate() -> str:
    with h5py.File("rate.hdf", "w") as file:
        file["data"] = noise(10)
    return "rate.hdf"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: "missing.hdf", ("dataset.path=missing.hdf names no strain file", ".hdf5", ".gwf")),
        (lambda: "missing*.hdf", ("dataset.path=missing*.hdf names no strain file", "glob")),
        (lambda: hdf5("empty.hdf"), ("empty.hdf has no strain", "masses (2, 2)", "strain/Strain")),
        (text, ("text.hdf cannot be read", "no HDF5 file", "convert it")),
        (truncated, ("truncated.hdf cannot be read", "truncated", "download it again")),
        (without_rate, ("rate.hdf has no sample rate", "delta_t")),
        (lambda: hdf5("nan.hdf", noise(60) * np.nan), ("nan.hdf holds no finite sample", "Use another file")),
        (with_gaps, ("Too little good strain", "at most 1.0 s at a segment", "dataset.path")),
        (lambda: hdf5("short.hdf", noise(4)), ("Too little good strain", "4.0 s", "dataset.path")),
        (lambda: hdf5("slow.hdf", noise(60), rate=1024), ("slow.hdf", "1024 Hz", "2048 Hz", "sample_rate=1024")),
    ],
    ids=["missing", "glob", "no strain", "text", "truncated", "no rate", "nan", "gaps", "short", "slow"],
)
def test_strain_file(gwbench: CommandLine, make: Callable[[], str], says: tuple[str, ...]) -> None:
    gwbench.refuses(*REAL, *settings(f"dataset.path={make()}"), says=says)


def test_band_that_real_strain_does_not_hold(gwbench: CommandLine) -> None:
    path = hdf5("noise.hdf", noise(60))
    says = ("1024 Hz is below twice", "600 Hz", "conditioning.high below 512")
    gwbench.refuses(*REAL, *settings(f"dataset.path={path}", "dataset.sample_rate=1024"), says=says)


# --- a process of its own: what Python itself prints would be seen ---


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "--encoder", "nonesuch"), "no encoder 'nonesuch'"),
        (("run", "--plugin", "mine.py", "--encoder", "mine"), "SyntaxError"),
        ((*BBH, *settings("dataset.sample_rate=1024"), "--workers", "1"), "1024 Hz is below twice"),
        (("run", "--colour"), "--colour"),
    ],
    ids=["plugin", "syntax", "band", "option"],
)
def test_the_installed_command(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    (tmp_path / "mine.py").write_text("def broken(:\n")
    if "--workers" in words:  # one that imports everything, to see that no library has anything to say
        command = [sys.executable, "-m", "gwbench", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    else:
        done = run_forked(words, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    *progress, message = done.stderr.splitlines()
    assert message.startswith("Error: ")
    assert says in message
    assert all(" done, " in line for line in progress)
