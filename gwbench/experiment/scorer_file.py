"""What a run keeps of its scorer: tensors and a small header in one safetensors file, which may be damaged later."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field
from safetensors.torch import load, save
from torch import Tensor

from gwbench.evaluation.calibration import Calibration
from gwbench.experiment import record
from gwbench.nn.head_scorer import HeadScorer
from gwbench.nn.objective_scorer import ObjectiveScorer
from gwbench.utils.files import atomic
from gwbench.utils.models import FrozenModel
from gwbench.utils.printable import printable
from gwbench.utils.untrusted_files import MIB, UnusableError, open_plain
from gwbench.utils.untrusted_text import parse_json

if TYPE_CHECKING:
    from gwbench.contracts import Scorer

LARGEST = 4096 * MIB
"""Bytes of a file of a scorer."""

LONGEST_HEADER = MIB
"""Bytes of the names, shapes and types of its tensors, with our own header among them."""

ScorerKind = Literal["encoder", "objective", "baseline"]

ENCODER = "encoder."
"""How the names of an encoder's tensors begin."""


class ScorerHeader(FrozenModel):
    """What the file says of a scorer besides its tensors.

    Attributes:
        run_id: of the run that it belongs to.
        kind: "encoder" for an encoder with a linear head, "objective" for one with the head of its objective;
            "baseline" where the baseline's plugin makes it anew.
        calibration: fitted on the validation split.
        variance: of conditioned strain in each detector, the median over windows of the validation split.
        whole: whether the encoder's weights are in this file, rather than in the run's file of weights.
    """

    schema_version: Literal[1] = 1
    run_id: str
    kind: ScorerKind
    calibration: Calibration
    variance: tuple[float, ...] = Field(min_length=1, max_length=64)
    whole: bool


def write_scorer(folder: Path, scorer: Scorer, header: ScorerHeader) -> None:
    """Write the scorer's tensors and the header."""
    state = {name: value.detach().cpu().contiguous() for name, value in scorer.state_dict().items()}
    if not header.whole:
        state = {name: value for name, value in state.items() if not name.startswith(ENCODER)}
    with atomic(folder / record.SCORER) as temporary:
        temporary.write_bytes(save(state, {"gwbench": header.model_dump_json()}))


def kind_of(scorer: Scorer) -> ScorerKind:
    """Who makes a scorer anew: the core, with the objective's plugin or without, or the baseline's plugin."""
    if not isinstance(scorer, HeadScorer):
        return "baseline"
    return "objective" if isinstance(scorer, ObjectiveScorer) else "encoder"


def read_scorer(path: Path) -> tuple[ScorerHeader, dict[str, Tensor]]:
    """The header and the tensors in a file.

    Raises:
        AbsentError: there is no such file.
        UnusableError: it is damaged, too large, or holds what is no finite number.
    """
    with open_plain(path, LARGEST) as stream:
        content = stream.read()
    try:
        header = ScorerHeader.model_validate(_own_header(content))
        state: dict[str, Tensor] = load(content)
    except MemoryError:
        raise
    except Exception as error:  # whatever a header that does not parse makes of json, pydantic and safetensors
        raise UnusableError(f"it is damaged ({printable(error)})") from None
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise UnusableError(f"{printable(name)} holds NaN or infinite numbers")
    return header, state


def split_state(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of the encoder and those of the head, each by its own names; others are the encoder's."""
    head = {name.removeprefix("head."): value for name, value in state.items() if name.startswith("head.")}
    rest = {name.removeprefix(ENCODER): value for name, value in state.items() if not name.startswith("head.")}
    return rest, head


def _own_header(content: bytes) -> Any:
    """What we wrote among the metadata of a safetensors file: 8 bytes of length, then JSON."""
    length = int.from_bytes(content[:8], "little")
    if not 0 < length <= min(len(content) - 8, LONGEST_HEADER):
        raise ValueError("its header is cut off, or too long")
    document = parse_json(content[8 : 8 + length])
    metadata = document.get("__metadata__") if isinstance(document, dict) else None
    text = metadata.get("gwbench") if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise ValueError("it is no scorer of gwbench")
    return parse_json(text.encode())


__all__ = ["ScorerHeader", "kind_of", "read_scorer", "split_state", "write_scorer"]
