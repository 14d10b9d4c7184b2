"""What a run notes down on its way to a record."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic_core

from gwbench import seeds
from gwbench._version import __version__
from gwbench.errors import UserError
from gwbench.evaluation.version import PROTOCOL
from gwbench.experiment import environment, record
from gwbench.experiment.record import RunRecord
from gwbench.experiment.spec import RunSpec

if TYPE_CHECKING:
    from gwbench.contracts import Scores, StrainSplits
    from gwbench.training.pretrain import Trained


@dataclass
class PhaseMeter:
    """How many windows a phase works on, for its throughput."""

    windows: int = 0


class RunRecorder:
    """Gathers what the record will say while the run goes on, and writes it.

    Attributes:
        spec, run_id, fingerprint, device, folder: of the run.
        trained: what came of pre-training, once it is done.
        pretrained_by: identity of the run that did it, where it was another.
        devices, nodes: over how many it was spread, devices per node, where it was done here.
    """

    def __init__(
        self,
        spec: RunSpec,
        run_id: str,
        fingerprint: dict[str, str],
        device: str,
        folder: Path,
    ) -> None:
        self.spec, self.run_id, self.fingerprint = spec, run_id, fingerprint
        self.device, self.folder = device, folder
        self.trained: Trained | None = None
        self.pretrained_by: str | None = None
        self.devices, self.nodes = 1, 1
        self._phases: dict[str, record.Phase] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[PhaseMeter]:
        """Time a phase, and its throughput where it says how many windows it worked on."""
        begun, phase = time.perf_counter(), PhaseMeter()
        yield phase
        seconds = time.perf_counter() - begun
        rate = phase.windows / seconds if phase.windows else None
        self._phases[name] = record.Phase(seconds=seconds, samples_per_second=rate)

    def pretrained(self, trained: Trained) -> None:
        """Note what came of pre-training, and the time that it took over all sessions."""
        self.trained = trained
        self._phases["pretrain"] = record.Phase(seconds=trained.seconds, samples_per_second=trained.windows_per_second)
        self._phases["diagnose"] = record.Phase(seconds=trained.diagnostics_seconds)

    def take_over(self, earlier: RunRecord) -> None:
        """Note the pre-training of another run as this one's, with the time that it took there."""
        from gwbench.training.pretrain import Trained

        assert earlier.training is not None
        phase = earlier.phases["pretrain"]
        self.pretrained_by = earlier.details.get("pretrained_by", earlier.run_id)
        taken = Trained(
            loss=earlier.training.loss,
            collapse=earlier.training.collapse,
            seconds=phase.seconds,
            diagnostics_seconds=earlier.phases["diagnose"].seconds if "diagnose" in earlier.phases else 0.0,
            windows_per_second=phase.samples_per_second or 0.0,
            resumed_from=earlier.training.resumed_from,
        )
        self.pretrained(taken)

    def finished(self, splits: StrainSplits, labelled: int, scores: Scores, metrics: Any) -> RunRecord:
        """Write and return the record of a run that went well.

        Args:
            splits: its data.
            labelled: windows whose labels were offered; a baseline that used others says how many in its details, under
                "labelled".
            scores: of the test split.
            metrics: of the scores.
        """
        from gwbench.training.collapse import warning

        details = dict(scores.details) | ({"pretrained_by": self.pretrained_by} if self.pretrained_by else {})
        training = None
        if self.trained:
            training = record.TrainingOutcome(
                loss=self.trained.loss,
                collapse=self.trained.collapse,
                warning=warning(self.trained.collapse[-1]),
                resumed_from=self.trained.resumed_from,
            )
        return self._write(
            status="ok",
            data=record.Data(
                content_hash=splits.content_hash,
                fingerprint=self.fingerprint,
                detectors=splits.detectors,
                sample_rate=splits.sample_rate,
                sizes=splits.sizes,
                labelled=int(scores.details.get("labelled", labelled)),
                notes=(*splits.notes, *self._notes()),
            ),
            metrics=metrics,
            details=pydantic_core.to_jsonable_python(details, fallback=_plain, inf_nan_mode="constants"),
            parameters=scores.parameters,
            training=training,
        )

    def _notes(self) -> list[str]:
        """What the plugins have to say of themselves."""
        return [note for plugin in self.spec.plugins() for note in getattr(plugin.target, "notes", ())]

    def failed(self, error: BaseException) -> None:
        """Write that the run failed and why, where that can be written."""
        try:
            self._write(status="failed", reason=f"{type(error).__name__}: {error}")
        except (UserError, OSError):
            return  # the place cannot be written; the error under way says so

    def _write(self, **fields: Any) -> RunRecord:
        result = RunRecord(
            run_id=self.run_id,
            protocol=PROTOCOL,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=self.spec.command(),
            spec=self.spec,
            plugins=[
                record.PluginUsed(
                    kind=p.kind, name=p.name, version=p.version, source_hash=p.source_hash, tags=tuple(p.tags)
                )
                for p in self.spec.plugins()
            ],
            seeds={role: seeds.integer(self.spec.seed, role) for role in seeds.ROLES if role != "data"}
            | {"data": seeds.integer(self.spec.data_seed, "data")},
            phases=self._phases,
            peak_memory=environment.peak_memory(),
            environment=record.Environment(
                gwbench=__version__,
                git_commit=environment.git_commit(),
                packages=environment.packages(),
                hardware=environment.hardware(self.device),
                device=self.device,
                precision=self.spec.precision,
                devices=self.devices,
                nodes=self.nodes,
            ),
            folder=str(self.folder),
            **fields,
        )
        record.write_record(self.folder, result)
        return result


def _plain(value: Any) -> Any:
    """The scalars and arrays of numpy, and torch's tensors, as Python numbers and lists."""
    if not hasattr(value, "tolist"):
        raise TypeError(f"a method reports {type(value).__name__} among its details: use numbers, text or arrays")
    return value.tolist()
