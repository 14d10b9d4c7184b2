"""Pre-training that is shared out: several devices of one machine, or of several.

Who they are is a `ProcessGroup`. What they do together is the step of one process with the global batch
(`global_batch`). Their processes are started by gwbench itself (`gwbench.experiment.launch_local`), or by torchrun or
SLURM (`gwbench.experiment.launch_external`).
"""

from gwbench.training.distributed.process_group import (
    ControlChannel,
    ProcessGroup,
    check_launch_variables,
    cluster,
    connected,
    is_follower,
    resolve,
)

__all__ = ["ControlChannel", "ProcessGroup", "check_launch_variables", "cluster", "connected", "is_follower", "resolve"]
