"""The loggers there are: Lightning's loggers, each with how it goes on where an earlier session ended."""

from __future__ import annotations

import csv
import logging
import os
import re
import shlex
import shutil
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from gwbench.errors import UserError, did_you_mean
from gwbench.utils.files import atomic
from gwbench.utils.locks import acquire
from gwbench.utils.untrusted_files import MIB, UnusableError
from gwbench.utils.untrusted_text import read_named

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger


LARGEST_LOG = 256 * MIB
"""Bytes of a CSV file that is gone on with."""

LOGS = "logs"
"""Folder in the run's folder for whatever loggers keep there."""

PROJECT = "gwbench"
"""Of the runs on a server, unless the logger's own environment variable names another."""

PATIENCE = 30.0
"""Seconds without a sign of life after which the end of a run no longer waits for a logger."""


class LoggerBackend(ABC):
    """One of Lightning's loggers, and how it goes on where an earlier session of the run ended.

    Args:
        folder: of the run; its name is the run's name.
        step: the first step that is logged now; what earlier sessions logged from there on is done again. None where
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


class _Csv(LoggerBackend):
    needs, local = "pytorch_lightning", True

    def open(self, step: int | None) -> Logger:
        from pytorch_lightning.loggers import CSVLogger

        kept = self.logs / "metrics.earlier.csv"
        earlier = max((_rows(path, step) for path in (self._file, kept)), key=len)
        if earlier:  # a process that is killed before they are written again must not lose them
            _write_rows(kept, earlier)
        shutil.rmtree(self._file.parent, ignore_errors=True)  # Lightning would delete the file, and warn
        logger = CSVLogger(self.logs, name="csv", version="")
        writer: Any = logger.experiment
        writer.metrics = earlier
        logger.save()
        kept.unlink(missing_ok=True)
        return logger

    @property
    def _file(self) -> Path:
        return self.logs / "csv" / "metrics.csv"

    def where(self) -> str:
        return str(self._file)


class _TensorBoard(LoggerBackend):
    needs, local = "tensorboard", True

    def open(self, step: int | None) -> Logger:
        from pytorch_lightning.loggers import TensorBoardLogger

        return TensorBoardLogger(self.logs, name="tensorboard", version="", default_hp_metric=False, purge_step=step)

    def where(self) -> str:
        return f"tensorboard --logdir {shlex.quote(str(self.folder.parent))}"

    def conclude(self, settings: Mapping[str, Any], figures: Mapping[str, float], step: int) -> None:
        self.logger.log_hyperparams(dict(settings), dict(figures), step)  # together they fill its page of runs


class _Wandb(LoggerBackend):
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


class _MlFlow(LoggerBackend):
    needs = "mlflow"

    def open(self, step: int | None) -> Logger:
        from pytorch_lightning.loggers import MLFlowLogger

        for chatty in ("mlflow", "pytorch_lightning.loggers.mlflow"):
            logging.getLogger(chatty).setLevel(logging.ERROR)
        out = self.folder.parent.resolve()
        server = os.environ.get("MLFLOW_TRACKING_URI")
        self._uri = server or f"sqlite:///{out / 'mlflow.db'}"
        with _kept(self.logs / "mlflow-run-id") as known, ExitStack() as stack:
            stack.callback(acquire(out / ".mlflow.lock", lambda: None))
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


BACKENDS: dict[str, type[LoggerBackend]] = {
    "csv": _Csv,
    "tensorboard": _TensorBoard,
    "wandb": _Wandb,
    "mlflow": _MlFlow,
}


def check_loggers(names: Sequence[str]) -> tuple[str, ...]:
    """The names without repetitions.

    Raises:
        UserError: there is no such logger, or it is not installed.
    """
    for name in names:
        if name not in BACKENDS:
            hint = did_you_mean(name, BACKENDS)
            raise UserError(f"There is no logger {name!r}.{hint} Loggers: {', '.join(BACKENDS)}.")
        module = BACKENDS[name].needs
        spec = find_spec(module)
        if spec is None or spec.origin is None:  # a folder of that name, such as wandb leaves behind, is no package
            raise UserError(
                f"The logger {name!r} needs {module}, which is not installed: pip install 'gwbench-ssl[{name}]'"
            )
    return tuple(dict.fromkeys(names))


def _rows(path: Path, step: int | None) -> list[dict[str, str]]:
    """The whole rows of a CSV file before a step, without empty fields; those that are garbled are left out."""
    try:
        text = read_named(path, LARGEST_LOG).decode(errors="replace")
    except UnusableError:
        return []
    rows = []
    try:
        for row in csv.DictReader(text.rpartition("\n")[0].splitlines()):
            kept = {key: value for key, value in row.items() if key and isinstance(value, str) and value}
            if re.fullmatch(r"[0-9]{1,15}", kept.get("step", "")) and (step is None or int(kept["step"]) < step):
                rows.append(kept)
    except csv.Error:  # what comes behind a garbled row is not trusted
        return rows
    return rows


def _write_rows(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    names = sorted({name for row in rows for name in row})
    with atomic(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


@contextmanager
def _kept(path: Path) -> Iterator[dict[str, str]]:
    """What the file holds under "id", which the block may set; nothing where it holds no name of a run."""
    try:
        name = read_named(path).decode(errors="replace").strip()
    except UnusableError:
        name = ""
    known = {"id": name} if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) else {}
    yield known
    with atomic(path) as temporary:
        temporary.write_text(known["id"] + "\n")
