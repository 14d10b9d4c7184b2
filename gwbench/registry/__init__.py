"""Plugins: registered, found, described and checked for what goes with what.

from gwbench.registry import register
"""

from gwbench.registry.metadata import (
    ALL_LABELS_TAG,
    COHERENCE_TAG,
    DEFAULT_TAG,
    FILES_TAG,
    FLOOR_TAG,
    KINDS,
    METHOD_KINDS,
    NETWORK_TAG,
    NO_LABELS_TAG,
    SIMULATED_TAG,
    GivenObject,
    Kind,
    Origin,
    Plugin,
    get_kind,
)
from gwbench.registry.registry import ENVIRONMENT, REGISTRY, Registry, register

__all__ = [
    "ALL_LABELS_TAG",
    "COHERENCE_TAG",
    "DEFAULT_TAG",
    "ENVIRONMENT",
    "FILES_TAG",
    "FLOOR_TAG",
    "KINDS",
    "METHOD_KINDS",
    "NETWORK_TAG",
    "NO_LABELS_TAG",
    "REGISTRY",
    "SIMULATED_TAG",
    "GivenObject",
    "Kind",
    "Origin",
    "Plugin",
    "Registry",
    "get_kind",
    "register",
]
