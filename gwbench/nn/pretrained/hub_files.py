"""Files of a repository on the Hugging Face Hub, from the Hub, its mirror (`HF_ENDPOINT`) or the local cache."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gwbench.errors import UserError, in_words

WEIGHTS = "model.safetensors"
CARD = "README.md"

NAME = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Repository:
    """A repository, at a revision where one is named.

    Attributes:
        name: USER/NAME.
        revision: a branch, tag or commit; None for the newest.
    """

    name: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> Repository:
        """The repository written as USER/NAME or USER/NAME@REVISION.

        Raises:
            UserError: it is written otherwise.
        """
        name, _, revision = text.partition("@")
        if not NAME.fullmatch(name):
            raise UserError(f"{text!r} is no repository of the Hub: write hf:USER/NAME, or hf:USER/NAME@REVISION.")
        return cls(name, revision or None)

    def file(self, name: str) -> Path:
        """A file of it, downloaded unless it is in the local cache.

        Raises:
            UserError: there is no such file, or it cannot be had.
        """
        from huggingface_hub import hf_hub_download

        try:
            return Path(hf_hub_download(self.name, name, revision=self.revision)).resolve()
        except Exception as error:  # a missing repository, file or network, each an error of its own
            raise UserError(
                f"{name} of the Hub's repository {self.name} cannot be had ({in_words(error)}). Check the name and the "
                "network; where there is none, download the file elsewhere and name it with baseline.weights=FILE."
            ) from error

    def licence(self) -> str:
        """The licence that its card states; empty where it has no card, or states none."""
        import yaml

        from gwbench.utils.untrusted_files import MIB, UnusableError, open_plain

        try:
            with open_plain(self.file(CARD), MIB) as stream:
                text = stream.read().decode(errors="replace")
            head = text.split("---\n")[1] if text.startswith("---\n") else ""
            stated = yaml.safe_load(head).get("license")
        except (UserError, UnusableError, yaml.YAMLError, AttributeError, IndexError, RecursionError):
            return ""
        return stated[:100] if isinstance(stated, str) and stated.isprintable() else ""
