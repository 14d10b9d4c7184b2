"""A run whose figures go to loggers, each of which is served by a thread of its own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any

from gwbench.experiment.loggers.backends import BACKENDS, PATIENCE, LoggerBackend
from gwbench.experiment.loggers.metrics import metrics_of, settings_of
from gwbench.utils.progress import Progress, ProgressTask

if TYPE_CHECKING:
    from gwbench.experiment.record import RunRecord
    from gwbench.experiment.spec import RunSpec


class AsyncLogger(Progress):
    """A run's progress, whose figures go to loggers; a context that ends with the run.

    All figures share one axis, the optimiser's steps from the first of pre-training on.

    Args:
        progress: where everything else is reported.
        names: of the loggers (see `loggers.check`).
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
        """Those of the loggers whose modules can be imported."""
        from pytorch_lightning.utilities import rank_zero_only

        rank_zero_only.rank = 0  # type: ignore[attr-defined] # SLURM numbers the tasks of a job, each of them a run
        loaded = []
        for name in names:
            try:
                with warnings.catch_warnings():  # imported here, for neither this nor the import is safe in a thread
                    warnings.simplefilter("ignore")
                    import_module(BACKENDS[name].needs)
            except Exception as error:
                self._messages.put(_trouble(name, error))
            else:
                loaded.append(name)
        return loaded

    def __enter__(self) -> AsyncLogger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for thread in self._threads:
            thread.order("success" if kind is None else "KILLED" if issubclass(kind, KeyboardInterrupt) else "failed")
        for thread in self._threads:
            if not thread.ended():
                self._messages.put(
                    f"The logger {thread.backend!r} has not answered for {PATIENCE:g} s: what it has not got is lost."
                )
        self._pass_on()

    @contextmanager
    def task(self, title: str, total: float, unit: str = "") -> Iterator[ProgressTask]:
        """As the run's progress has it."""
        with self._progress.task(title, total, unit) as task:
            yield task

    def say(self, message: str) -> None:
        """As the run's progress has it."""
        self._progress.say(message)

    def log(self, figures: Mapping[str, Any], step: int) -> None:
        """Hand figures to the loggers."""
        self._step = self._offset + step
        at = self._step
        self._order(_Order(lambda backend: backend.log(figures, at), at))
        self._pass_on()

    def start_at(self, step: int) -> None:
        """Count the steps that follow from here on."""
        self._offset = self._step = step

    def conclude(self, record: RunRecord) -> None:
        """Log what came of the run."""
        lent = record.details.get("pretrained_by")
        about = self._settings | {"run_id": record.run_id} | ({"pretrained_by": lent} if lent else {})
        self._order(_Order(lambda backend: backend.conclude(about, metrics_of(record), self._step), None))

    def _order(self, order: _Order) -> None:
        for thread in self._threads:
            thread.order(order)

    def _pass_on(self) -> None:
        """Say what the threads have to say: where they log to, or that they cannot."""
        while not self._messages.empty():
            self.say(self._messages.get())


class _Thread(Thread):
    """Serves one logger, which nobody waits for.

    Attributes:
        logger: its name.
    """

    def __init__(self, name: str, folder: Path, settings: Mapping[str, Any], messages: SimpleQueue[str]) -> None:
        super().__init__(name=f"gwbench logger {name}", daemon=True)
        self.backend = name
        self._folder, self._settings, self._messages = folder, settings, messages
        self._orders: SimpleQueue[_Order | str] = SimpleQueue()
        self._carried_out = 0
        self.start()

    def order(self, order: _Order | str) -> None:
        """Have something done, or the logger closed with a status, unless it has failed."""
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
        """Carry out orders until the logger is closed or fails."""
        backend = None
        try:
            if not BACKENDS[self.backend].local:
                backend = self._open(None)
            while not isinstance(order := self._orders.get(), str):
                backend = backend or self._open(order.since)
                order.action(backend)
                self._carried_out += 1
                if self._orders.empty():
                    backend.logger.save()
            if backend:
                backend.close(order)
        except Exception as error:
            self._messages.put(_trouble(self.backend, error))
            with suppress(Exception):
                if backend:
                    backend.close("failed")

    def _open(self, since: int | None) -> LoggerBackend:
        opened = BACKENDS[self.backend](self._folder, since)
        opened.logger.log_hyperparams(dict(self._settings))
        self._messages.put(f"Logging to {self.backend}: {opened.where()}")
        return opened


@dataclass(frozen=True)
class _Order:
    """What is to be done with a logger; `since` is the step from which on this session logs."""

    action: Callable[[LoggerBackend], None]
    since: int | None


def _trouble(name: str, error: Exception) -> str:
    first = str(error).strip().partition("\n")[0]
    return f"The logger {name!r} does not work, and the run goes on without it: {type(error).__name__}: {first}"
