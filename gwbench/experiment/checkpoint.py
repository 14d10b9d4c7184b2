"""A run's encoder after the run: saved with its conditioning, loaded to embed and score new strain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from gwbench.contracts import Array, InputShape
from gwbench.errors import UserError
from gwbench.experiment import record
from gwbench.experiment.conditioner_file import read_conditioner
from gwbench.experiment.objects import encoder_given
from gwbench.nn.detector_encoder import DetectorEncoder, embed_in_chunks, parse_groups
from gwbench.registry import REGISTRY
from gwbench.utils.files import atomic
from gwbench.utils.list_text import names_of
from gwbench.utils.printable import printable
from gwbench.utils.untrusted_files import UnusableError, link_target, open_plain

if TYPE_CHECKING:
    from gwbench.experiment.record import RunRecord
    from gwbench.experiment.scorer import RunScorer, WindowScores
    from gwbench.experiment.spec import RunSpec
    from gwbench.preprocessing.conditioning import Conditioner

EMBED_CHUNK = 256
"""Windows embedded at once."""

HEADER = 64 * 1024
"""Bytes of a file of weights besides its tensors and their names."""


class FrozenEncoder:
    """Embeds strain as the run's probe saw it.

    Attributes:
        encoder: the network; `encoder.embed` takes conditioned strain.
        conditioner: the run's, fitted on its training split; it may be replaced by one that `conditioner.refit(strain)`
            measures on other strain.
        folder: of the run.
    """

    def __init__(self, encoder: DetectorEncoder, conditioner: Conditioner, folder: Path) -> None:
        self.encoder = encoder.eval()
        self.conditioner = conditioner
        self.folder = folder
        self._scorer: RunScorer | None = None

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        force_download: bool = False,
        plugins: Sequence[str] = (),
    ) -> FrozenEncoder:
        """The encoder of a run on the Hugging Face hub, or in a folder, as `load_encoder` gives it.

            encoder = gwbench.FrozenEncoder.from_pretrained("USER/NAME")

        Args:
            pretrained_model_name_or_path: USER/NAME on the hub, or the folder of a run.
            revision: branch, tag or commit.
            token: of the hub; by default the one that `hf auth login` kept.
            cache_dir: where fetched runs are kept; by default in gwbench's own cache.
            local_files_only: use what was fetched before, without the network.
            force_download: fetch again.
            plugins: as of `load_encoder`; a source that came with the run is never imported by itself.

        Raises:
            UserError: there is no such run, it cannot be fetched, or it holds no whole encoder.
        """
        from gwbench.experiment.hub_folder import hub_folder

        folder = hub_folder(
            pretrained_model_name_or_path,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            force_download=force_download,
        )
        return load_encoder(folder, plugins)

    def __repr__(self) -> str:
        """What it listens to."""
        own = self.conditioner
        seconds = own.window / own.sample_rate
        return f"<FrozenEncoder: {seconds:g} s of {', '.join(own.detectors)} at {own.sample_rate:g} Hz>"

    def __call__(self, strain: Array) -> Array:
        """Embeddings [N, F] float32 of strain [N, D, T + 2 margin], in strain units, in the run's detector order."""
        conditioner = self.conditioner
        require_windows(strain, conditioner)
        embeddings = embed_in_chunks(
            self.encoder, len(strain), lambda part: conditioner(strain[part]), chunk=EMBED_CHUNK
        )
        return embeddings.numpy()

    def score(self, strain: Array) -> WindowScores:
        """Log-odds and probability of "signal" by the run's probe, of strain as `__call__` takes it.

        Raises:
            UserError: the run has kept no probe, or as `RunScorer.score`.
        """
        from gwbench.experiment.scorer import scorer_of

        if self._scorer is None:
            self._scorer = scorer_of(self.folder, self.encoder)
        if self._scorer.conditioner is not self.conditioner:
            self._scorer = self._scorer.with_conditioner(self.conditioner)
        return self._scorer.score(strain)


def require_windows(strain: Array, conditioner: Conditioner) -> None:
    """Raise `UserError` unless strain is [N, D, T + 2 margin]."""
    expected = (len(conditioner.detectors), conditioner.window + 2 * conditioner.margin)
    if strain.ndim != 3 or strain.shape[1:] != expected:
        raise UserError(
            f"Strain of shape {strain.shape} is not [N, {expected[0]}, {expected[1]}]: "
            f"{', '.join(conditioner.detectors)}; {conditioner.window} samples and a margin of "
            f"{conditioner.margin} on either side, for whitening."
        )


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


def load_encoder(folder: str | Path, plugins: str | Sequence[str] = (), *, encoder: Any = None) -> FrozenEncoder:
    """The encoder of a finished run.

        encoder = gwbench.load_encoder("runs/...")
        embeddings = encoder(strain)  # [N, D, T + 2 margin] -> [N, F]
        encoder.score(strain).log_odds  # [N], by the run's probe

    Args:
        folder: of the run.
        plugins: the file or module that registers the encoder, if gwbench does not know it; others are not needed.
        encoder: where the run was given an object as its encoder: its class, or an object of it. The weights are the
            run's.

    Raises:
        UserError: the folder holds no finished pre-training, or one of its files is damaged.
    """
    for source in names_of(plugins):
        REGISTRY.load_source(source)
    folder = Path(folder)
    run = record.read_record(folder)
    if (run.training is None and run.spec.encoder_from is None) or run.data is None:
        raise UserError(f"The run in {folder} pre-trained no encoder: {run.reason or 'it is a baseline'}.")
    conditioner = load_conditioner(folder, run)
    with encoder_given(run, encoder):
        return FrozenEncoder(pretrained_encoder(folder, run, conditioner), conditioner, folder)


def pretrained_encoder(folder: Path, run: RunRecord, conditioner: Conditioner) -> DetectorEncoder:
    """The encoder whose weights are in the run's file of weights."""
    encoder = untrained_encoder(folder, run, conditioner)
    problem = restore_weights(folder / record.WEIGHTS, encoder)
    if problem:
        raise _no_encoder(folder, f"{record.WEIGHTS}: {problem}")
    return encoder


def load_conditioner(folder: Path, run: RunRecord) -> Conditioner:
    """The conditioner in a run's folder."""
    assert run.data
    try:
        return read_conditioner(link_target(folder / record.CONDITIONER), run.spec.conditioning, run.data)
    except UnusableError as error:
        raise _no_encoder(folder, f"{record.CONDITIONER}: {printable(error)}") from None


def untrained_encoder(folder: Path, run: RunRecord, conditioner: Conditioner) -> DetectorEncoder:
    """The record's encoder before its weights are read; the global generator is left as it was."""
    try:
        if run.spec.encoder:
            REGISTRY.get("encoder", run.spec.encoder.name)
    except UserError as error:
        raise UserError(
            f"The run in {folder}: {error} If it used plugins of yours, name them: load_encoder(..., plugins=[...])."
        ) from None
    try:
        with torch.random.fork_rng(devices=[]):
            return build_encoder(run.spec, conditioner.detectors, conditioner.window, conditioner.sample_rate)
    except UserError as error:
        raise _no_encoder(folder, f"its encoder cannot be built ({error})") from None
    except Exception as error:  # a plugin's constructor, handed what a file says
        raise _no_encoder(folder, f"its encoder cannot be built ({type(error).__name__}: {error})") from error


def restore_weights(path: Path, module: nn.Module) -> str:
    """Load the weights in a file; why it cannot be, in which case the module may have been changed."""
    wanted = module.state_dict()
    expected = sum(value.numel() * value.element_size() for value in wanted.values())
    try:
        with open_plain(link_target(path), expected + HEADER + 256 * len(wanted)) as stream:
            weights = load(stream.read())
    except UnusableError as error:
        return printable(error)
    except Exception as error:  # whatever a header that does not parse makes of safetensors
        return f"it is damaged ({printable(error)})"
    return put_weights(module, weights)


def put_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> str:
    """Give a module weights from a file; why that cannot be, in which case the module may have been changed."""
    wanted = module.state_dict()
    for name in sorted(wanted.keys() | weights.keys()):
        own, other = wanted.get(name), weights.get(name)
        if own is None or other is None:
            return f"it has {'no' if other is None else 'an unknown'} tensor {printable(name)}"
        if (own.shape, own.dtype) != (other.shape, other.dtype):
            return f"{name} is {other.dtype} {list(other.shape)}, expected {own.dtype} {list(own.shape)}"
        if not torch.isfinite(other).all():
            return f"{name} holds NaN or infinite numbers"
    try:
        module.load_state_dict(weights)
    except Exception as error:
        return f"its weights do not fit the network ({printable(error)})"
    return ""


def _no_encoder(folder: Path, reason: str) -> UserError:
    return UserError(
        f"There is no whole encoder in {folder}: {reason}. Only finished pre-training has one; --rerun makes it again."
    )
