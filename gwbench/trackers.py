"""Experiment trackers: where a run's figures also go while it goes on, through Lightning's loggers.

Trackers are no part of a run: they are in no spec and no record, and draw no random number. Each is served by a thread
of its own, so that neither a slow disk nor a server that does not answer takes time from the training; where one fails,
that is said once and the run goes on without it.
"""

from __future__ import annotations

import csv
import logging
import os
import shlex
import shutil
import uuid
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from gwbench.errors import UserError, did_you_mean
from gwbench.progress import Progress, Task

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

    from gwbench.record import RunRecord
    from gwbench.spec import RunSpec

LOGS = "logs"
"""Folder in the run's folder for whatever trackers keep there."""

PROJECT = "gwbench"
"""Of the runs on a server, unless the tracker's own environment variable names another."""

PATIENCE = 30.0
"""Seconds without a sign of life after which the end of a run no longer waits for a tracker."""


# --- what Lightning offers ---


class Tracker(ABC):
    """One of Lightning's loggers, and how it goes on where an earlier sitting of the run ended.

    Args:
        folder: of the run; its name is the run's name.
        step: the first step that is logged now; what earlier sittings logged from there on is done again. None where
            that is not known, or where nothing is to be taken back.
    """

    needs: ClassVar[str]
    """The module that must be installed."""

    local: ClassVar[bool] = False
    """Whether it writes files, which are opened at the first figure: its step says from where on they are rewritten."""

    def __init__(self, folder: Path, step: int | None) -> None:
        self.folder, self.logs = folder, folder / LOGS
        self.logs.mkdir(exist_ok=True)
        self.logger: Any = self.open(step)

    @abstractmethod
    def open(self, step: int | None) -> Logger:
        """Lightning's logger."""

    @abstractmethod
    def where(self) -> str:
        """Where to find what is logged."""

    def log(self, figures: Mapping[str, Any], step: int) -> None:
        """Log figures; numbers and tensors of one."""
        self.logger.log_metrics({name: float(value) for name, value in figures.items()}, step)

    def conclude(self, settings: Mapping[str, Any], figures: Mapping[str, float], step: int) -> None:
        """Log what came of the run."""
        self.logger.log_hyperparams(dict(settings))
        self.logger.log_metrics(dict(figures), step)

    def close(self, status: str) -> None:
        """End the run: "success", "failed" or "KILLED"."""
        self.logger.finalize(status)


class _Csv(Tracker):
    needs, local = "pytorch_lightning", True

    def open(self, step: int | None) -> Logger:
        from pytorch_lightning.loggers import CSVLogger

        earlier = _rows(self._file, step)
        shutil.rmtree(self._file.parent, ignore_errors=True)  # Lightning would delete the file, and warn
        logger = CSVLogger(self.logs, name="csv", version="")
        writer: Any = logger.experiment
        writer.metrics = earlier
        logger.save()
        return logger

    @property
    def _file(self) -> Path:
        return self.logs / "csv" / "metrics.csv"

    def where(self) -> str:
        return str(self._file)


class _TensorBoard(Tracker):
    needs, local = "tensorboard", True

    def open(self, step: int | None) -> Logger:
        from pytorch_lightning.loggers import TensorBoardLogger

        return TensorBoardLogger(self.logs, name="tensorboard", version="", default_hp_metric=False, purge_step=step)

    def where(self) -> str:
        return f"tensorboard --logdir {shlex.quote(str(self.folder.parent))}"

    def conclude(self, settings: Mapping[str, Any], figures: Mapping[str, float], step: int) -> None:
        self.logger.log_hyperparams(dict(settings), dict(figures), step)  # together they fill its page of runs


class _Wandb(Tracker):
    needs = "wandb"

    def open(self, step: int | None) -> Logger:
        import wandb
        from pytorch_lightning.loggers import WandbLogger

        quiet = wandb.Settings(silent=True, console="off", init_timeout=PATIENCE)
        wandb.setup(quiet)  # silent, it does not ask for a key in the middle of a run either
        with _kept(self.logs / "wandb-run-id") as known:
            identity = known.setdefault("id", uuid.uuid4().hex[:8])
        logger = WandbLogger(
            name=self.folder.name,
            id=identity,
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            save_dir=os.environ.get("WANDB_DIR") or self.logs,
            settings=quiet,
        )
        assert logger.experiment
        return logger

    def where(self) -> str:
        run = self.logger.experiment
        return run.url or f"wandb sync {shlex.quote(str(Path(run.dir).parent))}"

    def close(self, status: str) -> None:
        super().close(status)
        self.logger.experiment.finish(
            exit_code=int(status != "success")
        )  # or the next run of this process would be logged to this one


class _MlFlow(Tracker):
    needs = "mlflow"

    def open(self, step: int | None) -> Logger:
        from filelock import FileLock
        from pytorch_lightning.loggers import MLFlowLogger

        for chatty in ("mlflow", "pytorch_lightning.loggers.mlflow"):
            logging.getLogger(chatty).setLevel(logging.ERROR)
        out = self.folder.parent.resolve()
        server = os.environ.get("MLFLOW_TRACKING_URI")
        self._uri = server or f"sqlite:///{out / 'mlflow.db'}"
        with _kept(self.logs / "mlflow-run-id") as known, FileLock(out / ".mlflow.lock"):
            logger = MLFlowLogger(
                experiment_name=os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT,
                run_name=self.folder.name,
                tracking_uri=self._uri,
                artifact_location=None if server else (out / "mlartifacts").as_uri(),
                run_id=known.get("id"),
            )
            known["id"] = str(logger.run_id)
        return logger

    def where(self) -> str:
        return f"{self._uri}, run {self.logger.version}"


TRACKERS: dict[str, type[Tracker]] = {
    "csv": _Csv,
    "tensorboard": _TensorBoard,
    "wandb": _Wandb,
    "mlflow": _MlFlow,
}


def check(names: Sequence[str]) -> tuple[str, ...]:
    """The names without repetitions.

    Raises:
        UserError: there is no such tracker, or it is not installed.
    """
    for name in names:
        if name not in TRACKERS:
            hint = did_you_mean(name, TRACKERS)
            raise UserError(f"There is no logger {name!r}.{hint} Loggers: {', '.join(TRACKERS)}.")
        module = TRACKERS[name].needs
        found = find_spec(module)
        if found is None or found.origin is None:  # a folder of that name, such as wandb leaves behind, is no package
            raise UserError(
                f"The logger {name!r} needs {module}, which is not installed: pip install 'gwbench-ssl[{name}]'"
            )
    return tuple(dict.fromkeys(names))


def _rows(path: Path, step: int | None) -> list[dict[str, str]]:
    """The whole rows of a CSV file before a step, without empty fields."""
    if not path.exists():
        return []
    whole = path.read_text().rpartition("\n")[0]
    rows = [{key: value for key, value in row.items() if value} for row in csv.DictReader(whole.splitlines())]
    return [row for row in rows if "step" in row and (step is None or int(row["step"]) < step)]


@contextmanager
def _kept(path: Path) -> Iterator[dict[str, str]]:
    """What the file holds under "id", which the block may set."""
    known = {"id": path.read_text().strip()} if path.exists() else {}
    yield known
    path.write_text(known["id"] + "\n")


# --- a run that is followed ---


def log(progress: Progress, figures: Mapping[str, Any], step: int) -> None:
    """Hand figures, numbers or tensors of one, to the trackers of the run that reports here, if it has any."""
    if isinstance(progress, Tracked):
        progress.log(figures, step)


class Tracked(Progress):
    """A run's progress, whose figures go to trackers; a context that ends with the run.

    All figures share one axis, the optimiser's steps from the first of pre-training on.

    Args:
        progress: where everything else is reported.
        names: of the trackers (see `trackers.check`).
        folder: of the run.
        spec: of the run; its settings are logged.
    """

    def __init__(self, progress: Progress, names: Sequence[str], folder: Path, spec: RunSpec) -> None:
        self._progress = progress
        self._settings = settings_of(spec)
        self._offset = self._step = 0
        self._messages: SimpleQueue[str] = SimpleQueue()
        self._threads: list[_Thread] = []
        if names:
            with progress.task("Load loggers", 1) as task:
                self._threads = [_Thread(name, folder, self._settings, self._messages) for name in self._loaded(names)]
                task.advance()

    def _loaded(self, names: Sequence[str]) -> list[str]:
        """Those of the trackers whose modules can be imported."""
        from pytorch_lightning.utilities import rank_zero_only

        rank_zero_only.rank = 0  # type: ignore[attr-defined] # SLURM numbers the tasks of a job, each of them a run
        loaded = []
        for name in names:
            try:
                with warnings.catch_warnings():  # imported here, for neither this nor the import is safe in a thread
                    warnings.simplefilter("ignore")
                    import_module(TRACKERS[name].needs)
            except Exception as error:
                self._messages.put(_trouble(name, error))
            else:
                loaded.append(name)
        return loaded

    def __enter__(self) -> Tracked:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for thread in self._threads:
            thread.order("success" if kind is None else "KILLED" if issubclass(kind, KeyboardInterrupt) else "failed")
        for thread in self._threads:
            if not thread.ended():
                self._messages.put(
                    f"The logger {thread.tracker!r} has not answered for {PATIENCE:g} s: what it has not got is lost."
                )
        self._pass_on()

    @contextmanager
    def task(self, title: str, total: float, unit: str = "") -> Iterator[Task]:
        """As the run's progress has it."""
        with self._progress.task(title, total, unit) as task:
            yield task

    def say(self, message: str) -> None:
        """As the run's progress has it."""
        self._progress.say(message)

    def log(self, figures: Mapping[str, Any], step: int) -> None:
        """Hand figures to the trackers."""
        self._step = self._offset + step
        at = self._step
        self._order(_Order(lambda tracker: tracker.log(figures, at), at))
        self._pass_on()

    def start_at(self, step: int) -> None:
        """Count the steps that follow from here on."""
        self._offset = self._step = step

    def conclude(self, record: RunRecord) -> None:
        """Log what came of the run."""
        lent = record.details.get("pretrained_by")
        about = self._settings | {"run_id": record.run_id} | ({"pretrained_by": lent} if lent else {})
        self._order(_Order(lambda tracker: tracker.conclude(about, figures_of(record), self._step), None))

    def _order(self, order: _Order) -> None:
        for thread in self._threads:
            thread.order(order)

    def _pass_on(self) -> None:
        """Say what the threads have to say: where they log to, or that they cannot."""
        while not self._messages.empty():
            self.say(self._messages.get())


class _Thread(Thread):
    """Serves one tracker, which nobody waits for.

    Attributes:
        tracker: its name.
    """

    def __init__(self, name: str, folder: Path, settings: Mapping[str, Any], messages: SimpleQueue[str]) -> None:
        super().__init__(name=f"gwbench logger {name}", daemon=True)
        self.tracker = name
        self._folder, self._settings, self._messages = folder, settings, messages
        self._orders: SimpleQueue[_Order | str] = SimpleQueue()
        self._carried_out = 0
        self.start()

    def order(self, order: _Order | str) -> None:
        """Have something done, or the tracker closed with a status, unless it has failed."""
        if self.is_alive():
            self._orders.put(order)

    def ended(self) -> bool:
        """Wait for the end, as long as orders are carried out; whether it came."""
        before = -1
        while self.is_alive() and before < self._carried_out:
            before = self._carried_out
            self.join(PATIENCE)
        return not self.is_alive()

    def run(self) -> None:
        """Carry out orders until the tracker is closed or fails."""
        tracker = None
        try:
            if not TRACKERS[self.tracker].local:
                tracker = self._open(None)
            while not isinstance(order := self._orders.get(), str):
                tracker = tracker or self._open(order.since)
                order.action(tracker)
                self._carried_out += 1
                if self._orders.empty():
                    tracker.logger.save()
            if tracker:
                tracker.close(order)
        except Exception as error:
            self._messages.put(_trouble(self.tracker, error))
            with suppress(Exception):
                if tracker:
                    tracker.close("failed")

    def _open(self, since: int | None) -> Tracker:
        opened = TRACKERS[self.tracker](self._folder, since)
        opened.logger.log_hyperparams(dict(self._settings))
        self._messages.put(f"Logging to {self.tracker}: {opened.where()}")
        return opened


@dataclass(frozen=True)
class _Order:
    """What is to be done with a tracker; `since` is the step from which on this sitting logs, as `Tracker` takes it."""

    action: Callable[[Tracker], None]
    since: int | None


def _trouble(name: str, error: Exception) -> str:
    first = str(error).strip().partition("\n")[0]
    return f"The logger {name!r} does not work, and the run goes on without it: {type(error).__name__}: {first}"


def settings_of(spec: RunSpec) -> dict[str, str | int | float]:
    """What was chosen and set, by the names that the command line has for it."""
    found: dict[str, Any] = {name: getattr(spec, name) for name in ("encoder_groups", "precision", "seed", "data_seed")}
    for kind, choice in spec.choices():
        if kind == "augmentation":
            kind = f"augmentation.{choice.name}"
        found[kind] = choice.name
        found |= {f"{kind}.{name}": value for name, value in choice.parameters.items()}
    for section in ("training", "evaluation", "conditioning"):
        found |= {f"{section}.{name}": value for name, value in getattr(spec, section) or ()}
    return {name: value if isinstance(value, (str, int, float)) else _text(value) for name, value in found.items()}


def figures_of(record: RunRecord) -> dict[str, float]:
    """What came of a run: its figures on the test split, with their intervals, and the seconds that it took."""
    metrics = record.metrics
    assert metrics is not None
    found = {"test/average_precision": metrics.average_precision}
    intervals = {"auc": metrics.auc, "knn_auc": metrics.knn_auc}
    intervals |= {f"tpr_at_fpr_{rate}": interval for rate, interval in metrics.tpr_at_fpr.items()}
    for name, interval in intervals.items():
        if interval:
            found[f"test/{name}"] = interval.value
            found |= {f"test/{name}_low": interval.low, f"test/{name}_high": interval.high}
    for name in ("probe_val_auc", "val_auc"):
        if name in record.details:
            found["validation/auc"] = record.details[name]
    seconds = {name: phase.seconds for name, phase in record.phases.items()}
    found |= {f"seconds/{name}": value for name, value in seconds.items()}
    return found | {"seconds/total": sum(seconds.values())}


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
