"""What a run notes down on its way to a record."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic_core

from gwbench import seeds
from gwbench._version import __version__
from gwbench.errors import UserError, in_words
from gwbench.evaluation.metrics import Metrics
from gwbench.evaluation.version import PROTOCOL
from gwbench.experiment import environment, record
from gwbench.experiment.record import RunRecord
from gwbench.experiment.run_mode import ORDINARY, RunMode
from gwbench.experiment.spec import RunSpec
from gwbench.experiment.training_outcome import Continuation, CurvePoint, StopReason, TrainingOutcome
from gwbench.registry.installed import package_of
from gwbench.utils.files import file_digest

if TYPE_CHECKING:
    from gwbench.contracts import Scores, StrainSplits
    from gwbench.experiment.pretrain_step import Pretrained


@dataclass
class PhaseMeter:
    """How many windows a phase works on, for its throughput."""

    windows: int = 0


class RunRecorder:
    """Gathers what the record will say while the run goes on, and writes it.

    Args:
        spec: the run.
        fingerprint: of its data.
        device: where it computes.
        folder: where the record goes.
        mode: how the run is carried out.
    """

    def __init__(
        self, spec: RunSpec, fingerprint: dict[str, str], device: str, folder: Path, mode: RunMode = ORDINARY
    ) -> None:
        self._spec, self._fingerprint, self._mode = spec, fingerprint, mode
        self._device, self._folder = device, folder
        self._pretrained: Pretrained | None = None
        self._phases: dict[str, record.Phase] = {}

    @property
    def run_id(self) -> str:
        """The run's identity."""
        return self._spec.run_id(self._fingerprint)

    @contextmanager
    def phase(self, name: str) -> Iterator[PhaseMeter]:
        """Time a phase, and its throughput where it says how many windows it worked on."""
        begun, phase = time.perf_counter(), PhaseMeter()
        yield phase
        seconds = time.perf_counter() - begun
        rate = phase.windows / seconds if phase.windows else None
        self._phases[name] = record.Phase(seconds=seconds, samples_per_second=rate)

    def pretrained(self, pretrained: Pretrained) -> None:
        """Note how pre-training went, and the time that it took over all sessions; keep its diagnostics."""
        self._pretrained, trained = pretrained, pretrained.trained
        self._phases["pretrain"] = record.Phase(seconds=trained.seconds, samples_per_second=trained.windows_per_second)
        self._phases["diagnose"] = record.Phase(seconds=trained.diagnostics_seconds)
        if trained.diagnostics:
            record.write_arrays(self._folder / record.DIAGNOSTICS, trained.diagnostics)

    def finished(self, splits: StrainSplits, labelled: int, scores: Scores, metrics: Any) -> RunRecord:
        """Write and return the record of a run that went well.

        Args:
            splits: its data.
            labelled: windows whose labels were offered; a baseline that used others says how many in its details, under
                "labelled".
            scores: of the test split.
            metrics: of the scores, as `Task.metrics` gives them.
        """
        from gwbench.training.collapse import warning

        details, training = dict(scores.details), None
        if self._pretrained:
            trained = self._pretrained.trained
            if self._pretrained.reused_from:
                details["pretrained_by"] = self._pretrained.reused_from
            training = TrainingOutcome(
                loss=trained.loss,
                collapse=trained.collapse,
                warning=warning(trained.collapse[-1]),
                resumed_from=trained.resumed_from,
                signals=trained.signals or None,
                stopped=None if trained.stopped is None else StopReason(**trained.stopped),
                continued=self._continuation(),
            )
        return self._write(
            status="ok",
            data=record.Data(
                content_hash=splits.content_hash,
                fingerprint=self._fingerprint,
                detectors=splits.detectors,
                sample_rate=splits.sample_rate,
                sizes=splits.sizes,
                labelled=int(scores.details.get("labelled", labelled)),
                notes=(*splits.notes, *self._notes()),
            ),
            metrics=metrics if isinstance(metrics, Metrics) else None,
            task_metrics=None if isinstance(metrics, Metrics) else jsonable(metrics),
            details=jsonable(details),
            parameters=scores.parameters,
            training=training,
            files={name: file_digest(path) for name in record.KEPT if (path := self._folder / name).is_file()},
            learning_curve=self._curve(),
        )

    def _curve(self) -> tuple[CurvePoint, ...] | None:
        points = self._pretrained.trained.learning_curve if self._pretrained else []
        return tuple(CurvePoint(**point) for point in points) or None

    def _continuation(self) -> Continuation | None:
        """What a training took from the run that it went on from."""
        if (extends := self._spec.extends) is None:
            return None
        kept = ("objective",) if extends.objective else ()
        return Continuation(
            restored=("encoder", *kept), anew=(*(() if kept else ("objective",)), "optimiser", "learning rate schedule")
        )

    def _notes(self) -> list[str]:
        """What the plugins have to say of themselves."""
        return [note for plugin in self._spec.plugins() for note in getattr(plugin.target, "notes", ())]

    def _objects(self) -> tuple[record.ObjectUsed, ...] | None:
        given = [(plugin, plugin.given) for plugin in self._spec.plugins() if plugin.given]
        return tuple(record.ObjectUsed(kind=p.kind, name=p.name, **asdict(each)) for p, each in given) or None

    def failed(self, error: BaseException) -> None:
        """Write that the run failed and why, where that can be written."""
        try:
            self._write(status="failed", reason=in_words(error))
        except (UserError, OSError):
            return  # the place cannot be written; the error under way says so

    def _write(self, **fields: Any) -> RunRecord:
        result = RunRecord(
            run_id=self.run_id,
            protocol=PROTOCOL,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=self._spec.command(),
            spec=self._spec,
            plugins=[
                record.PluginUsed(
                    kind=p.kind,
                    name=p.name,
                    version=p.version,
                    source_hash=p.source_hash,
                    tags=tuple(p.tags),
                    package=package_of(p),
                )
                for p in self._spec.plugins()
            ],
            objects=self._objects(),
            seeds={role: seeds.integer(self._spec.seed, role) for role in seeds.ROLES if role != "data"}
            | {"data": seeds.integer(self._spec.data_seed, "data")},
            phases=self._phases,
            peak_memory=environment.peak_memory(),
            environment=record.Environment(
                gwbench=__version__,
                git_commit=environment.git_commit(),
                packages=environment.packages(),
                hardware=environment.hardware(self._device),
                device=self._device,
                precision=self._spec.precision,
                devices=self._pretrained.devices if self._pretrained else 1,
                nodes=self._pretrained.nodes if self._pretrained else 1,
                deterministic=self._mode.deterministic,
            ),
            folder=str(self._folder),
            **fields,
        )
        record.write_record(self._folder, result)
        return result


def jsonable(value: Any) -> Any:
    """What a plugin reports, as values of JSON."""
    return pydantic_core.to_jsonable_python(value, fallback=_plain, inf_nan_mode="constants")


def _plain(value: Any) -> Any:
    """The scalars and arrays of numpy, and torch's tensors, as Python numbers and lists."""
    if not hasattr(value, "tolist"):
        raise TypeError(f"a method or task reports {type(value).__name__}: use numbers, text or arrays")
    return value.tolist()
