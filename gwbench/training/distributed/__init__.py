"""Pre-training that is shared out: several devices of one machine, or of several.

Who they are is a `Team`. What they do together is the step of one process with the joined batch (`joined`). Their
processes are started by gwbench itself (`workers`), or by torchrun or SLURM (`company`).
"""

from gwbench.training.distributed.process_group import Talk, Team, cluster, connected, follows, resolve

__all__ = ["Talk", "Team", "cluster", "connected", "follows", "resolve"]
