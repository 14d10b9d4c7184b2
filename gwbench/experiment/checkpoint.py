"""A run's encoder after the run: saved with its conditioning, loaded to embed new strain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from gwbench.contracts import Array, InputShape
from gwbench.errors import UserError
from gwbench.experiment import record
from gwbench.nn.detector_encoder import DetectorEncoder, embed_in_chunks, parse_groups
from gwbench.preprocessing.conditioning import from_state
from gwbench.registry import REGISTRY
from gwbench.utils.files import atomic

if TYPE_CHECKING:
    from gwbench.experiment.spec import RunSpec
    from gwbench.preprocessing.conditioning import Conditioner

EMBED_CHUNK = 256
"""Windows embedded at once."""


class FrozenEncoder:
    """Embeds strain as the run's probe saw it.

    Attributes:
        encoder: the network; `encoder.embed` takes conditioned strain.
        conditioner: the run's; fitted on its training split.
    """

    def __init__(self, encoder: DetectorEncoder, conditioner: Conditioner) -> None:
        self.encoder = encoder.eval()
        self.conditioner = conditioner

    def __call__(self, strain: Array) -> Array:
        """Embeddings [N, F] float32 of strain [N, D, T + 2 margin], in strain units, in the run's detector order."""
        conditioner = self.conditioner
        expected = (len(conditioner.detectors), conditioner.window + 2 * conditioner.margin)
        if strain.ndim != 3 or strain.shape[1:] != expected:
            raise UserError(
                f"Strain of shape {strain.shape} is not [N, {expected[0]}, {expected[1]}]: "
                f"{', '.join(conditioner.detectors)}; {conditioner.window} samples and a margin of "
                f"{conditioner.margin} on either side, for whitening."
            )
        embeddings = embed_in_chunks(
            self.encoder, len(strain), lambda part: conditioner(strain[part]), chunk=EMBED_CHUNK
        )
        return embeddings.numpy()


def build_encoder(spec: RunSpec, detectors: Sequence[str], window: int, sample_rate: float) -> DetectorEncoder:
    """The spec's encoder, one per group of detectors, with the weights that the global generator gives.

    Raises:
        UserError: the spec names no encoder, or its groups do not fit the detectors.
    """
    if spec.encoder is None:
        raise UserError("This run needs an encoder: name one with --encoder.")
    choice = spec.encoder
    network = spec.encoder_groups == "network"
    shape = InputShape(len(detectors) if network else 1, window, sample_rate)
    groups = parse_groups(spec.encoder_groups, detectors)
    return DetectorEncoder(lambda: choice.build("encoder", shape), groups, network=network)


def save_encoder(folder: Path, encoder: DetectorEncoder, conditioner: Conditioner) -> None:
    """Write the weights as safetensors and the conditioner as npz."""
    weights = {name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}
    with atomic(folder / record.WEIGHTS) as temporary:
        temporary.write_bytes(save(weights))
    record.write_arrays(folder / record.CONDITIONER, conditioner.state())


def load_encoder(folder: str | Path, plugins: Sequence[str] = ()) -> FrozenEncoder:
    """The encoder of a finished run.

        encoder = gwbench.load_encoder("runs/...")
        embeddings = encoder(strain)  # [N, D, T + 2 margin] -> [N, F]

    Args:
        folder: of the run.
        plugins: files or modules that register the plugins it used, if gwbench does not know them.

    Raises:
        UserError: the folder holds no finished pre-training, or one of its files is damaged.
    """
    for source in plugins:
        REGISTRY.load_source(source)
    folder = Path(folder)
    run = record.read_record(folder)
    if run.training is None:
        raise UserError(f"The run in {folder} pre-trained no encoder: {run.reason or 'it is a baseline'}.")
    try:
        with np.load(folder / record.CONDITIONER, allow_pickle=False) as arrays:
            conditioner = from_state(dict(arrays))
        weights = load((folder / record.WEIGHTS).read_bytes())
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(
            f"There is no whole encoder in {folder}: {error}. Only finished pre-training has one."
        ) from None
    try:
        run.spec.plugins()
    except UserError as error:
        raise UserError(
            f"{error} If the run used plugins of yours, name them: load_encoder(..., plugins=[...])."
        ) from None
    with torch.random.fork_rng(devices=[]):
        encoder = build_encoder(run.spec, conditioner.detectors, conditioner.window, conditioner.sample_rate)
    encoder.load_state_dict(weights)
    return FrozenEncoder(encoder, conditioner)
