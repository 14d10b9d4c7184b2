"""Experiment loggers: where a run's figures also go while it goes on, through Lightning's loggers.

Loggers are no part of a run: they are in no spec and no record, and draw no random number. Each is served by a thread
of its own, so that neither a slow disk nor a server that does not answer takes time from the training; where one fails,
that is said once and the run goes on without it.
"""

from gwbench.experiment.loggers.async_logger import AsyncLogger
from gwbench.experiment.loggers.backends import BACKENDS, LOGS, LoggerBackend, check_loggers

__all__ = ["BACKENDS", "LOGS", "AsyncLogger", "LoggerBackend", "check_loggers"]
