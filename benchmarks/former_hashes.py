"""Make the list of former source hashes: those that published records have from when whole files were hashed.

    python benchmarks/former_hashes.py COMMIT...

reads the plugins' sources as they were committed at COMMIT, and writes for each the hash of its bytes, which its
records hold, and the hash of what that source did. A test makes the list again from the commits that it names.

It also lists the plugins whose code has changed since and whose scores have not: `SAME_SCORES` names the commits, and
another test has the code as it was there and as it is score the same windows, and finds the same numbers.
"""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
from configparser import ConfigParser
from pathlib import Path

import click

from gwbench.registry.code_identity import LEDGER, code_hash, joined_hash

ROOT = Path(__file__).parent.parent

RENAMED: dict[str, dict[str, str]] = {
    "augmentations.glitch_injection": {"KINDS": "GLITCH_KINDS"},
    "baselines": {"job": "context"},
    "datasets.real_noise": {"good_stretches": "good_segments"},
    "encoders.s4d": {"Block": "S4dBlock"},
}
"""Names that were changed after these commits, old to new, by the beginning of the names of the plugins' modules.

They are names of gwbench's helpers that a plugin uses, or a plugin's own; nothing but the name was changed.
"""

SAME_SCORES: dict[str, tuple[str, ...]] = {
    # since then they also keep what they score with, so that a finished run can score new strain
    "baseline band-power": ("5583e9926e08e64e2f2e4cc252157c32af942d47",),
    "baseline matched-filter": ("5583e9926e08e64e2f2e4cc252157c32af942d47",),
}
"""By kind and name: commits at which a plugin's code was another and gave the very scores that it gives today.

A plugin that is changed after this list was made is another method again, until the list is made anew.
"""


@click.command()
@click.argument("commits", nargs=-1, required=True)
def main(commits: tuple[str, ...]) -> None:
    """List the plugins of COMMITS."""
    full = [_git("rev-parse", commit).decode().strip() for commit in commits]
    listed = {"commits": full, "plugins": ledger(full), "same_scores": same_scores()}
    LEDGER.write_text(json.dumps(listed, indent=1, sort_keys=True) + "\n")


def ledger(commits: list[str]) -> dict[str, dict[str, str]]:
    """By kind and name of a plugin: the hash of what its source did, by the hash of its file's bytes at the time."""
    found: dict[str, dict[str, str]] = {}
    for commit in commits:
        config = ConfigParser()
        config.read_string(_git("show", f"{commit}:setup.cfg").decode())
        entries = config["options.entry_points"]
        for group in entries:
            if group == "console_scripts":
                continue
            for line in entries[group].strip().splitlines():
                name, _, target = (part.strip() for part in line.partition("="))
                old, meaning = hashes(commit, target.partition(":")[0])
                kind = group.removeprefix("gwbench.").removesuffix("s")
                found.setdefault(f"{kind} {name}", {})[old] = meaning
    return found


def same_scores() -> dict[str, dict[str, str]]:
    """By kind and name of a plugin: the hash of what it does today, by that of earlier code with the same scores."""
    found: dict[str, dict[str, str]] = {}
    for name, commits in SAME_SCORES.items():
        module = module_of(name)
        today = code_hash((ROOT / f"{module.removeprefix('gwbench.').replace('.', '/')}.py").read_bytes())
        found[name] = {hashes(commit, module)[1]: today for commit in commits}
    return found


def module_of(name: str) -> str:
    """The module of a plugin, by kind and name, which builds on no other plugin."""
    kind, _, plugin = name.partition(" ")
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options.entry_points"][f"gwbench.{kind}s"].strip().splitlines()
    targets = {entry.strip(): target.strip() for entry, _, target in (line.partition("=") for line in lines)}
    return targets[plugin].partition(":")[0]


def hashes(commit: str, module: str) -> tuple[str, str]:
    """Two hashes of a plugin's module at a commit, with the plugins it imports: of its bytes, and of what it does."""
    source = _git("show", f"{commit}:{module.removeprefix('gwbench.').replace('.', '/')}.py")
    others = [hashes(commit, other) for other in _plugins_imported(source)]
    own = hashlib.sha256(source).hexdigest(), code_hash(source, _renamed(module))
    return joined_hash(own[0], [old for old, _ in others]), joined_hash(own[1], [meaning for _, meaning in others])


def _renamed(module: str) -> dict[str, str]:
    names: dict[str, str] = {}
    for beginning, renamed in RENAMED.items():
        if module.removeprefix("gwbench.plugins.").startswith(beginning):
            names |= renamed
    return names


def _plugins_imported(source: bytes) -> list[str]:
    """The modules of other plugins that a plugin's module takes classes from."""
    nodes = [node for node in ast.parse(source).body if isinstance(node, ast.ImportFrom)]
    return [node.module for node in nodes if node.module and node.module.startswith("gwbench.plugins.")]


def _git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True).stdout


if __name__ == "__main__":
    main()
