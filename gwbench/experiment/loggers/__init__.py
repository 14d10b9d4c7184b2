"""Experiment trackers: where a run's figures also go while it goes on, through Lightning's loggers.

Trackers are no part of a run: they are in no spec and no record, and draw no random number. Each is served by a thread
of its own, so that neither a slow disk nor a server that does not answer takes time from the training; where one fails,
that is said once and the run goes on without it.
"""

from gwbench.experiment.loggers.async_logger import Tracked
from gwbench.experiment.loggers.backends import LOGS, TRACKERS, Tracker, check

__all__ = ["LOGS", "TRACKERS", "Tracked", "Tracker", "check"]
