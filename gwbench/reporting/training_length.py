"""How long a run trained, from where, and why it ended, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gwbench.experiment.record import RunRecord


def length_notes(record: RunRecord) -> list[str]:
    """Sentences on a training that went on from another run, or that may stop; none on an ordinary one."""
    notes = []
    training, extends = record.training, record.spec.extends
    if training and extends:
        notes.append(
            f"It went on from run {extends.run_id}, after {extends.epochs} epochs ({extends.windows:,} windows)."
        )
        if training.continued:
            notes.append(
                f"Restored: {', '.join(training.continued.restored)}; anew: {', '.join(training.continued.anew)}."
            )
    if training and training.stopped and record.spec.training:
        stopped, settings = training.stopped, record.spec.training
        why = {
            "plateau": f"no unlabelled signal on validation had improved for {settings.patience} epochs",
            "overfit": f"for {settings.patience} epochs the loss had improved on the training windows alone",
            "cap": "its epochs were used up",
        }[stopped.reason]
        notes.append(
            f"Training ended after epoch {stopped.epoch} (step {stopped.step:,}): {why}. The learning rate fell to "
            f"zero from step {stopped.decay_from_step:,} on."
        )
        if stopped.reason == "overfit":
            notes.append("More windows help against that, or views that differ every time (--augment NAME).")
    return notes


def signals_text(record: RunRecord) -> str:
    """The unlabelled signals after the first and the last epoch; empty where none were measured."""
    signals = record.training.signals if record.training else None
    if not signals:
        return ""
    pairs = [f"{name.replace('_', ' ')} {signals[0][name]:.3g} -> {signals[-1][name]:.3g}" for name in signals[-1]]
    return ", ".join(pairs)
