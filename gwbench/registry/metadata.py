"""What is known of plugins and of their kinds, before any is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gwbench.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Kind:
    """A kind of plugin and the contract its classes subclass.

    Attributes:
        name: as users write it.
        contract: the class in `gwbench.contracts`.
        positional: how many arguments its kind hands a constructor before the parameters.
        about: its line in `gwbench run --help`; empty where a run has no such part.
        option: the option of `gwbench run` where it is not the name.
        several: whether a run may have several.
        method: whether it is a part of the method that a leaderboard ranks, rather than of what methods are tried on.
    """

    name: str
    contract: str
    positional: int
    about: str = ""
    option: str = ""
    several: bool = False
    method: bool = False

    @property
    def group(self) -> str:
        """The entry-point group."""
        return f"gwbench.{self.plural}"

    @property
    def plural(self) -> str:
        """The name of several."""
        return f"{self.name}s"

    @property
    def flag(self) -> str:
        """The option of `gwbench run`, such as "--encoder"."""
        return f"--{self.option or self.name}"


KINDS = {
    kind.name: kind
    for kind in (
        Kind("encoder", "Encoder", positional=1, about="Network from strain to embedding.", method=True),
        Kind("pairing", "Pairing", positional=1, about="How two views of a window are made.", method=True),
        Kind(
            "augmentation",
            "Augmentation",
            positional=1,
            about="Random change of each view.",
            option="augment",
            several=True,
            method=True,
        ),
        Kind("objective", "Objective", positional=1, about="Loss of pre-training.", option="loss", method=True),
        Kind("baseline", "Baseline", positional=0, about="Score a baseline instead of a probed encoder.", method=True),
        Kind("dataset", "Dataset", positional=0, about="Where the strain comes from."),
        Kind("task", "Task", positional=0, about="What is predicted from frozen embeddings."),
    )
}
"""Every kind. A new one is a line here and a class in `gwbench.contracts`."""


def get_kind(name: str) -> Kind:
    """The kind of this name; raises `UserError` where there is none."""
    if name not in KINDS:
        raise UserError(f"There is no plugin kind {name!r}.{did_you_mean(name, KINDS)} Kinds: {', '.join(KINDS)}.")
    return KINDS[name]


METHOD_KINDS = tuple(kind.name for kind in KINDS.values() if kind.method)
"""The kinds that make a method."""

DEFAULT_TAG = "default"
"""The tag of the plugin that serves its kind where the user names none."""

FLOOR_TAG = "floor"
"""The tag of the baseline that every method should beat."""

NETWORK_TAG = "network"
"""The tag of pairings whose views hold all detectors."""

COHERENCE_TAG = "coherence"
"""The tag of objectives whose own score is of coherent against incoherent strain, not of signals against noise."""

ALL_LABELS_TAG = "all-labels"
"""The tag of a baseline that uses every label of the training split."""

NO_LABELS_TAG = "no-labels"
"""The tag of a baseline that uses no label of the training split."""

SIMULATED_TAG = "simulated"
"""The tag of datasets whose signals are simulated..."""

FILES_TAG = "files"
"""...and of those that read files of the user's. Data with the first alone follow from parameters, code and seed."""


@dataclass(frozen=True)
class Origin:
    """Where a plugin is written."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class GivenObject:
    """An object that stands for a plugin during one run.

    Attributes:
        class_name: its module and class, or its own where it is a class or a function.
        source_hash: SHA-256 of what its code does.
        state_hash: SHA-256 of what it holds; of a class, of what its code reads from its module.
        source: the text of its code, cut at a certain length; empty where Python keeps none.
    """

    class_name: str
    source_hash: str
    state_hash: str
    source: str


@dataclass(frozen=True)
class Plugin:
    """What is known of one plugin.

    Attributes:
        kind, name: its identity.
        summary: first line of its docstring.
        citation: the paper it comes from.
        version: raised when its results change.
        tags: free words to search by.
        aliases: names that it had before, under which its old records are still read.
        origin: file and line.
        target: the class, once imported.
        source_hash: SHA-256 of what its code does, and that of the plugins it builds on (`code_identity`); empty before
            it is imported, and where there is no source.
        former_hashes: hashes of another kind in old records that stand for the same code.
        problem: why it cannot be used, if it cannot.
        given: the object that it stands for during one run; None for what is registered.
    """

    kind: str
    name: str
    summary: str = ""
    citation: str = ""
    version: int = 1
    tags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    origin: Origin = Origin("unknown")
    target: type | None = None
    source_hash: str = ""
    former_hashes: frozenset[str] = field(default=frozenset(), repr=False, compare=False)
    problem: str | None = None
    given: GivenObject | None = None

    def is_of(self, recorded: str) -> bool:
        """Whether a record's hash of the plugin's source is that of the code as it is now."""
        return bool(recorded) and (recorded == self.source_hash or recorded in self.former_hashes)


def odd_metadata(given: Mapping[str | None, Any]) -> str | None:
    """What is wrong with what `register` is told of a plugin beside its kind and name; None where all is right."""
    citation, version = given.get("citation", ""), given.get("version", 1)
    if not isinstance(citation, str):
        return f"citation={citation!r} is not valid: expected text"
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        return f"version={version!r} is not valid: expected a whole number from 1 on"
    for name in ("tags", "aliases"):
        words = given.get(name, ())
        if not isinstance(words, (tuple, list)) or not all(isinstance(word, str) for word in words):
            return f"{name}={words!r} is not valid: expected texts, such as {name}=('mine',)"
    return None
