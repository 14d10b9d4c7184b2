"""`gwbench run` as a file, as a dry run, and none of its options without an effect."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from gwbench.cli.main import gwbench as command_line
from gwbench.cli.main import main
from gwbench.cli.run import OPTION_GROUPS
from gwbench.cli.run import run as run_verb
from gwbench.registry import Registry
from tests.conftest import TINY, TINY_OBJECTIVE

CommandLine = Callable[..., tuple[int, str, str]]
SETS = [word for key, value in (TINY | TINY_OBJECTIVE | {"dataset.snr": "12,20"}).items()
        for word in ("--set", f"{key}={value}")]  # fmt: skip


@pytest.fixture
def gwbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gwbench", "run", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        assert isinstance(stop.value.code, int)
        return stop.value.code, *capsys.readouterr()

    return run


# --- options without an effect ---


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--baseline random-init --epochs 3", "--epochs has no effect: the baseline 'random-init' trains nothing."),
        ("--baseline random-init --lr 0.1", "--lr has no effect: the baseline 'random-init' trains nothing."),
        ("--baseline band-power --batch-size 8", "--batch-size has no effect: the baseline 'band-power' trains"),
        (
            "--baseline random-init --precision fp32",
            "--precision fp32 has no effect: the baseline 'random-init' trains",
        ),
        ("--baseline random-init --precision auto", "--precision auto has no effect"),
        (
            "--baseline supervised-all --label-fraction 0.5",
            "--label-fraction has no effect: the baseline 'supervised-a",
        ),
        ("--baseline oracle --label-fraction 0.5", "the baseline 'oracle' uses no label. Leave it out."),
        ("--baseline band-power --encoder-groups shared", "has no encoder: leave out --encoder-groups shared"),
        ("--pairing network --encoder-groups shared", "shows an encoder all detectors at once: leave out --encoder-g"),
        ("--baseline supervised --epochs 3 --set baseline.epochs=4", "--epochs and --set baseline.epochs both set"),
        ("--limit 1", "1 is less than 2."),
        ("--limit x", "'--limit': 'x' is not a whole number."),
        ("--lr x", "'--lr': 'x' is not a number."),
        ("--config none.yaml", "The file none.yaml cannot be read"),
    ],
)
def test_an_option_without_an_effect_is_refused(gwbench: CommandLine, words: str, says: str) -> None:
    code, out, err = gwbench(*words.split())
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1
    assert not Path("runs").exists()


def printed(gwbench: CommandLine, *words: str) -> dict[str, Any]:
    """What --print-config prints, read by another reader of YAML."""
    import yaml

    code, out, err = gwbench(*words, "--print-config", "--quiet")
    assert code == 0, err
    document: dict[str, Any] = yaml.safe_load(out)
    return document


def test_epochs_reach_a_baseline_that_trains_by_itself(gwbench: CommandLine) -> None:
    for baseline in ("supervised", "supervised-all"):
        found = printed(gwbench, "--baseline", baseline, "--epochs", "3", "--batch-size", "16", "--lr", "0.01")
        assert (found["baseline"]["epochs"], found["baseline"]["batch_size"], found["baseline"]["lr"]) == (3, 16, 0.01)
        assert "training" not in found


def test_beside_pre_training_they_are_of_that_and_this_is_said(gwbench: CommandLine) -> None:
    code, _, err = gwbench("--baseline", "fine-tune", "--epochs", "3", "--print-config")
    assert code == 0
    assert "--epochs is of pre-training; what the baseline 'fine-tune' trains then is set by baseline.epochs, 10" in err
    assert printed(gwbench, "--baseline", "fine-tune", "--epochs", "3")["training"]["epochs"] == 3


# --- a file ---


def test_the_command_line_wins_over_the_file(gwbench: CommandLine) -> None:
    Path("run.yaml").write_text(
        "encoder: {name: cnn1d, width: 8}\nobjective: {name: simclr, temperature: 0.4}\naugmentations: [time-shift]\n"
        "training: {epochs: 7, lr: 0.5}\nseed: 3\nout: elsewhere\nlimit: 60\n"
    )
    plain = printed(gwbench, "--config", "run.yaml")
    assert (plain["encoder"]["width"], plain["objective"]["temperature"], plain["seed"]) == (8, 0.4, 3)
    assert (plain["training"]["epochs"], plain["training"]["lr"], plain["training"]["batch_size"]) == (7, 0.5, 60)
    assert (plain["out"], plain["limit"], plain["augmentations"][0]["name"]) == ("elsewhere", 60, "time-shift")
    words = ("--config", "run.yaml", "--seed", "0", "--epochs", "2", "--set", "training.lr=0.25", "--loss", "barlow")
    other = printed(gwbench, *words, "--augment", "polarity-flip", "--set", "encoder.width=4")
    assert (other["seed"], other["training"]["epochs"], other["training"]["lr"]) == (0, 2, 0.25)
    assert other["objective"]["name"] == "barlow"
    assert "temperature" not in other["objective"]
    assert [each["name"] for each in other["augmentations"]] == ["polarity-flip"]
    assert other["encoder"]["width"] == 4
    floor = printed(gwbench, "--config", "run.yaml", "--baseline", "random-init")
    assert (floor["encoder"]["width"], floor["baseline"]) == (8, {"name": "random-init"})
    assert not {"pairing", "objective", "training", "precision"} & set(floor)
    power = printed(gwbench, "--config", "run.yaml", "--baseline", "band-power")
    assert not {"encoder", "encoder_groups"} & set(power)


def test_a_printed_file_is_the_same_run(gwbench: CommandLine) -> None:
    code, out, _ = gwbench(*SETS, "--precision", "fp32", "--seed", "2", "--print-config")
    assert code == 0
    Path("run.yaml").write_text(out)
    assert gwbench("--config", "run.yaml", "--print-config") == (0, out, "")


def test_a_plugin_that_the_file_names_is_loaded(gwbench: CommandLine, registry: Registry, tmp_path: Path) -> None:
    from tests.experiment.test_runner import MY_ENCODER

    (tmp_path / "mine.py").write_text(MY_ENCODER)
    (tmp_path / "run.yaml").write_text("plugins: mine.py\nencoder: {name: my-encoder, width: 5}\n")
    found = printed(gwbench, "--config", "run.yaml")
    assert (found["encoder"], found["plugins"]) == ({"name": "my-encoder", "width": 5}, ["mine.py"])


# --- a dry run ---


def test_a_dry_run_tells_all_and_leaves_nothing(gwbench: CommandLine, tmp_path: Path) -> None:
    words = (*SETS, "--limit", "64", "--dry-run", "--cache-dir", str(tmp_path / "cache"), "--quiet")
    code, out, err = gwbench(*words)
    assert (code, err) == (0, "")
    for text in (
        "nothing was run",
        "train 64, val 64, test 64",
        "steps",
        "4 of 32 windows in 2 epochs",
        "memory",
        "about",
    ):
        assert text in out
    code, out, _ = gwbench(*words, "--json")
    plan = json.loads(out)
    assert plan["windows"] == {"train": 64, "val": 64, "test": 64}
    assert plan["total_seconds"] == pytest.approx(sum(plan["seconds"].values()))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == []
    assert list(tmp_path.rglob("*.h5")) == []
    code, out, err = gwbench(*words, "--set", "conditioning.high=2000")
    assert (code, out) == (2, "")
    assert "below twice the band's upper edge" in err


# --- help ---


def test_help_has_every_option_once_in_its_group_with_its_default() -> None:
    context = click.Context(run_verb, info_name="run", parent=click.Context(command_line))
    names = [name for group in OPTION_GROUPS.values() for name in group]
    options = {parameter.name for parameter in run_verb.params}
    assert sorted(names) == sorted(options)
    help_text = run_verb.get_help(context)
    for title in OPTION_GROUPS:
        assert f"\n{title}:\n" in help_text
    flat = " ".join(help_text.split())
    assert "Network from strain to embedding. [default: cnn1d]" in flat
    for default in ("[default: 5]", "[default: 256]", "[default: 0.002]", "[default: 0.25]", "[default: bbh]"):
        assert default in flat
