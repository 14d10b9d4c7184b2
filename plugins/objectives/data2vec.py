"""Masked modelling in feature space."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from lightly.models.modules import BYOLPredictionHead
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gwbench.contracts import Encode, View
from gwbench.errors import UserError
from gwbench.registry import register
from gwbench.training.ema import MomentumObjective


@register(
    "objective",
    "data2vec",
    citation=(
        "Baevski et al., data2vec, arXiv:2202.03555; what is hidden as the target: Assran et al. (I-JEPA), "
        "arXiv:2301.08243; on strain: GraviBERT, arXiv:2512.21390"
    ),
    tags=("masked-modelling", "self-distillation", "negative-free", "momentum"),
)
class Data2Vec(MomentumObjective):
    """data2vec: from a view with hidden parts, predict the features that an EMA copy of the encoder sees elsewhere.

    Parts of a view are set to 0 before the encoder sees it, and what stays in sight is scaled to the mean square that
    the whole view would have. A predictor on the embedding gives the teacher's embedding of

    - "other": the whole other view. With pairings whose views are other detectors' strain, these share no noise;
    - "hidden": the same view's hidden parts alone, which share no noise with those in sight;
    - "window": the same view, whole, as in the paper. Half of its noise is in sight and can be predicted, so that the
      loss falls without a signal.

    The loss is smooth L1. Every feature of the target has mean 0 and variance 1 over the batch, so that the teacher
    cannot lower the loss by shrinking. The paper averages the features of several layers at every time; here encoders
    of any kind give one embedding of a window. Which parts are hidden is drawn once for all windows of a batch:
    otherwise the place of the hidden parts would tell windows apart.

    Behaviour on collapse: constant targets become 0, and so does the loss; only the effective rank shows it. Unit
    variance keeps a target from shrinking, not from becoming constant.

    Args:
        target: what the teacher sees.
        hide: "spans" of time of each channel by itself, "times" of all channels alike, or whole "detectors", which
            needs a pairing of the network.
        span: samples of a span.
        ratio: share of the spans, or of the detectors, that is hidden; one at least is, and one stays.
        beta: the difference, in standard deviations, below which the loss is quadratic.
        momentum: of the teacher at the first step; it rises to 1.
        hidden_dim: width of the predictor's hidden layer.
    """

    def __init__(
        self,
        embed_dim: int,
        *,
        target: Literal["other", "hidden", "window"] = "other",
        hide: Literal["spans", "times", "detectors"] = "spans",
        span: Annotated[int, Field(ge=1)] = 128,
        ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5,
        beta: Annotated[float, Field(gt=0)] = 2.0,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.95,
        hidden_dim: Annotated[int, Field(ge=1)] = 512,
    ) -> None:
        predictor = BYOLPredictionHead(embed_dim, hidden_dim, embed_dim)
        super().__init__(embed_dim, nn.Identity(), predictor, momentum=momentum)
        self.target, self.hide, self.span, self.ratio, self.beta = target, hide, span, ratio, beta

    def forward(self, a: View, b: View, encode: Encode) -> Tensor:
        """Scalar loss of two views. What is hidden is drawn from torch's global generator."""
        hidden_a, hidden_b = self.hidden(a), self.hidden(b)
        fast_a, fast_b = encode(masked(a, hidden_a)), encode(masked(b, hidden_b))
        if self.target == "hidden":
            a, b = masked(a, ~hidden_a), masked(b, ~hidden_b)
        with torch.no_grad():
            slow_a, slow_b = self.target_encoder(a), self.target_encoder(b)
        if self.target != "other":
            slow_a, slow_b = slow_b, slow_a  # each view predicts the target of the second of two
        with torch.autocast(fast_a.device.type, enabled=False):
            return self._loss(fast_a.float(), fast_b.float(), slow_a.float(), slow_b.float())

    def compare(self, online: Tensor, target: Tensor) -> Tensor:
        """Smooth L1 of [2 B, embed_dim] predictions and targets; each view's targets are normalised over its batch."""
        first, second = (F.batch_norm(each, None, None, training=True) for each in target.chunk(2))
        return F.smooth_l1_loss(online, torch.cat([first, second]), beta=self.beta)

    def hidden(self, view: View) -> Tensor:
        """What is hidden of a view [B, C, T]: [C, T], True there.

        Raises:
            UserError: the view has fewer than two parts, so that nothing could be hidden or nothing would be left.
        """
        _, channels, samples = view.samples.shape
        rows = 1 if self.hide == "times" else channels
        length = samples if self.hide == "detectors" else self.span
        columns = -(-samples // length)
        count = rows * columns
        if count < 2 and self.hide == "detectors":
            raise UserError(
                "objective.hide=detectors hides some detectors of a view of the network, and these views hold one "
                "detector each. Choose a pairing of the network, such as network, or another objective.hide."
            )
        if count < 2:
            raise UserError(
                f"objective.span={self.span} leaves one span in {samples} samples, of which none could be hidden. "
                f"Set {samples // 2} at most."
            )
        most = min(max(round(self.ratio * count), 1), count - 1)
        chosen = torch.zeros(count, dtype=torch.bool, device=view.samples.device)
        chosen[torch.rand(count, device=chosen.device).argsort()[:most]] = True
        return chosen.reshape(rows, columns).repeat_interleave(length, dim=1)[:, :samples].expand(channels, samples)


def masked(view: View, hidden: Tensor) -> View:
    """A view [B, C, T] with 0 where `hidden` [C, T], and the rest scaled to the mean square of the whole view."""
    scale = (~hidden).to(view.samples.dtype).mean().rsqrt()
    return View(view.samples.masked_fill(hidden, 0) * scale, view.detectors)
