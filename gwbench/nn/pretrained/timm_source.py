"""Networks of timm: by name with the weights that timm knows, from a Hub repository, or with a file of weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load
from torch import nn

from gwbench.errors import UserError, did_you_mean, in_words
from gwbench.nn.pretrained.hub_files import WEIGHTS, Repository
from gwbench.nn.pretrained.network import LARGEST, PretrainedNetwork
from gwbench.utils.untrusted_files import MIB, UnusableError, open_plain
from gwbench.utils.untrusted_text import read_json

CONFIG = "config.json"

FIELDS = ("mean", "std", "input_size", "num_classes", "first_conv", "classifier", "license")
"""What a repository's configuration may say of its network beside the architecture."""


def known_weights(name: str) -> Path:
    """The file of weights that timm names for a network, as on the Hub.

    Raises:
        UserError: timm knows no such network, or none of its weights, or the file cannot be had.
    """
    from timm.models import get_pretrained_cfg

    _require(name)
    try:
        config: Any = get_pretrained_cfg(name)
    except RuntimeError as error:  # the network is known, and the tag behind its name is not
        raise UserError(
            f"timm has no weights of the name {name!r}: {str(error).rstrip('.')}. timm.list_pretrained() lists them."
        ) from None
    hub = getattr(config, "hf_hub_id", None)
    if not hub:
        raise UserError(f"timm has no weights for {name!r}. Name a file of them: baseline.weights=FILE.safetensors.")
    return Repository.parse(hub).file(config.hf_hub_filename or WEIGHTS)


def repository_config(repository: Repository) -> tuple[str, dict[str, Any]]:
    """The architecture of a Hub repository in timm's format, and what it says of its network.

    Raises:
        UserError: it is no such repository.
    """
    try:
        document = read_json(repository.file(CONFIG), largest=MIB)
    except UnusableError as error:
        raise UserError(f"{CONFIG} of {repository.name} cannot be read: {error}.") from None
    architecture = document.get("architecture") if isinstance(document, dict) else None
    if not isinstance(architecture, str):
        raise UserError(
            f"The Hub's repository {repository.name} is not in timm's format: its {CONFIG} names no architecture. For "
            "another network write a function that gives it, and name that: baseline.source=MODULE:FUNCTION."
        )
    _require(architecture)
    said = document.get("pretrained_cfg")
    said = said if isinstance(said, dict) else {}
    if isinstance(document.get("num_classes"), int):
        said = {"num_classes": document["num_classes"], **said}
    return architecture, {name: said[name] for name in FIELDS if name in said}


def timm_network(
    name: str, channels: int, weights: Path | None, config: Mapping[str, Any] | None = None
) -> PretrainedNetwork:
    """A network of timm without its classifier.

    Args:
        name: of timm's, such as "resnet18.a1_in1k".
        channels: of its images; the first layer's weights are adapted to them.
        weights: a safetensors file; None for weights as the global generator gives them.
        config: what replaces timm's own description of the network.

    Raises:
        UserError: there is no such network, or the weights are not its.
    """
    import timm

    _require(name)
    overlay = dict(config or {})
    try:
        if weights:
            tensors = read_weights(weights)

            def loaded() -> nn.Module:
                own = overlay | {"state_dict": dict(tensors)}  # timm takes out what it has no use for
                made: nn.Module = timm.create_model(
                    name, pretrained=True, pretrained_cfg_overlay=own, num_classes=0, in_chans=channels
                )
                return made

            model: Any = loaded()
            _require_loaded(model, loaded, f"{weights} does not hold the weights of timm's {name}")
        else:
            model = timm.create_model(name, pretrained_cfg_overlay=overlay, num_classes=0, in_chans=channels)
        own: Any = model.pretrained_cfg
        return PretrainedNetwork(
            model,
            licence=str(own.get("license") or ""),
            takes="image",
            size=(int(own["input_size"][1]), int(own["input_size"][2])),
            channels=channels,
            mean=tuple(map(float, own["mean"])),
            std=tuple(map(float, own["std"])),
        )
    except UserError:
        raise
    except Exception as error:  # whatever timm makes of weights, or of a configuration, that are not its own
        where = f" with {weights}" if weights else ""
        raise UserError(f"timm's {name} cannot be made{where}: {in_words(error)}.") from error


def _require_loaded(model: nn.Module, loaded: Callable[[], nn.Module], what: str) -> None:
    """Raise `UserError` where weights were drawn that should have been read: timm leaves out what a file has not.

    Names cannot be compared, since timm renames those of many files. What another making gives other values was drawn.
    """
    with torch.random.fork_rng(devices=[]):
        torch.rand(1)
        again = loaded().state_dict()
    drawn = [name for name, value in model.state_dict().items() if not torch.equal(value, again[name])]
    if drawn:
        raise UserError(f"{what}: {len(drawn)} of the network's tensors are missing, such as {drawn[0]}.")


def require_safetensors(path: Path) -> None:
    """Raise `UserError` where a file that can be read is no safetensors file; no tensor is read."""
    _require_suffix(path)
    try:
        with safe_open(path, "pt"):
            pass
    except Exception as error:  # whatever a header that does not parse makes of safetensors
        raise UserError(f"The weights {path} are damaged: {in_words(error)}.") from error


def _require_suffix(path: Path) -> None:
    if path.suffix != ".safetensors":
        raise UserError(
            f"{path} is no safetensors file. Other files of weights are pickles, which can run code when they are "
            "read; turn it into one with safetensors.torch.save_file."
        )


def read_weights(path: Path) -> dict[str, Any]:
    """Tensors by name in a safetensors file.

    Raises:
        UserError: it is no such file.
    """
    _require_suffix(path)
    try:
        with open_plain(path.resolve(), LARGEST) as stream:
            return dict(load(stream.read()))
    except UnusableError as error:
        raise UserError(f"The weights {path} cannot be read: {error}.") from None
    except Exception as error:  # whatever a header that does not parse makes of safetensors
        raise UserError(f"The weights {path} are damaged: {in_words(error)}.") from error


def _require(name: str) -> None:
    """Raise `UserError` unless timm knows a network of this name."""
    import timm

    if not timm.is_model(name):
        hint = did_you_mean(name, timm.list_models())
        raise UserError(f"timm knows no network {name!r}.{hint} timm.list_models('*WORD*') lists them.")
