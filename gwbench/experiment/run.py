"""`gwbench.run`: the parts of a run, by names or as objects, made into a spec that is then carried out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwbench.experiment import environment, objects
from gwbench.experiment.data_cache import DataCache
from gwbench.experiment.extension import extended_spec, refuse_names
from gwbench.experiment.loggers import check_loggers
from gwbench.experiment.record import RunRecord
from gwbench.experiment.resolve_spec import resolve_spec
from gwbench.experiment.run_mode import RunMode
from gwbench.experiment.runner import DEFAULT_OUT, run_spec
from gwbench.registry import REGISTRY
from gwbench.training import distributed
from gwbench.utils import progress as progress_bars
from gwbench.utils.list_text import names_of
from gwbench.utils.matplotlib_import import settle_backend

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gwbench.contracts import Augmentation, Baseline, Dataset, InputShape, Objective, Pairing, Task
    from gwbench.experiment.encoder_source import Whose
    from gwbench.utils.progress import Progress

    EncoderLike = nn.Module | type[nn.Module] | Callable[[InputShape], nn.Module] | Callable[[], nn.Module]
    ObjectiveLike = Objective | type[nn.Module] | Callable[[Tensor, Tensor], Tensor]
    AugmentationsLike = str | Augmentation | type[Augmentation] | Sequence[str | Augmentation | type[Augmentation]]


def run(
    *,
    encoder: str | EncoderLike | None = None,
    objective: str | ObjectiveLike | None = None,
    pairing: str | type[Pairing] | Pairing | None = None,
    augmentations: AugmentationsLike = (),
    baseline: str | type[Baseline] | Baseline | None = None,
    dataset: str | type[Dataset] | Dataset | None = None,
    task: str | type[Task] | Task | None = None,
    settings: Mapping[str, Any] | None = None,
    encoder_groups: str = "shared",
    seed: int = 0,
    data_seed: int = 0,
    limit: int | None = None,
    encoder_from: str | Path | None = None,
    conditioner: Whose = "refit",
    precision: str = "auto",
    device: str = "auto",
    devices: int = 1,
    num_nodes: int = 1,
    plugins: str | Sequence[str] = (),
    out: str | Path = DEFAULT_OUT,
    cache: str | Path | None = None,
    workers: int | None = None,
    loggers: str | Sequence[str] = (),
    rerun: bool = False,
    extend: str | Path | None = None,
    probe_every: int = 0,
    deterministic: bool = False,
    progress: Progress | None = None,
) -> RunRecord:
    """Pre-train an encoder without labels, probe it with few, and record what came of it.

        record = gwbench.run()
        record.auc, record.metrics.auc.low, record.metrics.auc.high

    The same call twice does the work once: the second returns the first's record.

    Objects may stand in place of names: a torch module as the encoder, a loss of lightly's as the objective, arrays as
    the dataset. The record then holds their code and hashes, and no command line gives the run again.

        gwbench.run(encoder=MyNet(), objective=lightly.loss.NTXentLoss(), dataset=gwbench.ArrayDataset(...))

    An object's own numbers are part of the run, a module's first weights too: `MyNet()` made anew, without a seed, is
    another run. Give the class, `encoder=MyNet`, to have the weights drawn by the run's `seed`.

    Args:
        encoder, objective, pairing, augmentations, dataset: plugin names; by default the plugins tagged "default". Or a
            plugin's class, or an object of it. An encoder may be any `nn.Module` from strain [B, C, T] to embeddings
            [B, F], of which every group of detectors trains a copy, or a function or class that makes one, of a
            `gwbench.contracts.InputShape` or of nothing. An objective may be any loss of two projections [B, P]; a
            projection head is put before it (`objective.projector`, `objective.hidden_dim`, `objective.output_dim`).
        baseline: a baseline's name; then it gives the scores, and nothing is pre-trained unless it starts from there.
        task: what is predicted from frozen embeddings; by default whether a window holds a signal.
        settings: parameters by dotted name, such as {"encoder.width": 64, "training.epochs": 20}.
        encoder_groups: "shared", "each", groups of detectors with an encoder each, such as "H1,L1|V1", or "network" for
            an encoder that sees all detectors at once.
        seed: of labels, weights, batches and views.
        data_seed: of simulated data and of splits.
        limit: a small try: at most so many windows of each split, and batches no larger. It is a run of its own, on
            data of their own, and never ranks beside the run on all windows.
        encoder_from: a finished run, by its folder or the beginning of its identity within `out`: its encoder is probed
            on other data, and nothing is pre-trained; encoder, pairing, objective and conditioning are that run's.
        conditioner: of an encoder from another run: "refit" on the new data's training split, without labels, or the
            "run"'s own.
        precision: "fp32", "bf16", or "auto" for bf16 where the processor computes in it.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        devices: how many GPUs, or processes on a CPU, share each batch of pre-training; it is the same run on any.
        num_nodes: machines with so many devices each; torchrun or SLURM starts the same run on all of them.
        plugins: files or modules that register further plugins.
        out: folder that gets one folder per run.
        cache: folder of generated data; by default the user's cache folder.
        workers: threads that generate data; by default one per core.
        loggers: loggers that get the run's figures while it goes on: "csv" and "tensorboard" write into its folder,
            "wandb" and "mlflow" where their environment variables say; they change nothing about the run.
        rerun: do it again though it is done.
        extend: a finished run to go on from, by its folder or the beginning of its identity, until it has as many
            "training.epochs" as `settings` say; everything else is that run's.
        probe_every: epochs between two points of a learning curve on validation; 0 for none. It changes no weight.
        deterministic: use only algorithms that give the same bits again on the same machine and threads.
        progress: where to report; by default a bar on a terminal, nothing elsewhere.

    Raises:
        UserError: anything that the caller can mend.
    """
    loggers = check_loggers(names_of(loggers))
    settle_backend()
    progress = progress or progress_bars.default()
    given: dict[str, Any] = {"dataset": dataset, "encoder": encoder, "pairing": pairing, "objective": objective}
    given |= {"augmentations": augmentations, "baseline": baseline, "task": task, "limit": limit}
    given |= {"encoder_groups": encoder_groups, "seed": seed, "data_seed": data_seed}
    with ExitStack() as during_run:
        with progress.task("Load plugins", 1) as step:
            device = environment.resolve_device(device)
            process_group = distributed.resolve(devices, num_nodes, device)
            for source in names_of(plugins):
                REGISTRY.load_source(source)
            names = during_run.enter_context(objects.named(given))
            data_cache, folder = DataCache(cache, workers), None
            if extend is not None:
                refuse_names({**names, "encoder_from": encoder_from}, precision)
                spec, folder = extended_spec(extend, settings or {}, out=out, data_cache=data_cache)
            else:
                names |= {"encoder_from": encoder_from, "conditioner": conditioner, "out": out}
                spec = resolve_spec(precision, device, settings=settings, **names)
            objects.refuse_other_processes(spec.plugins(), process_group)
            step.advance()
        return run_spec(
            spec,
            device=device,
            process_group=process_group,
            out=out,
            data_cache=data_cache,
            loggers=loggers,
            rerun=rerun,
            mode=RunMode(probe_every, deterministic, folder),
            progress=progress,
            record_refusal=False,
        )
