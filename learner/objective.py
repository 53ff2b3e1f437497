"""What a training step minimises: the paper's Eq. (1), and what the settings add to it."""

from dataclasses import dataclass

from torch import Tensor

from rvsense.config import Learning
from rvsense.learner.loss import decoupled, equation_1, soft_cross_entropy, soft_targets

NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Objective:
    """All that `train_step` must know besides encoder, queue and batch; see `Learning`."""

    temperature: float
    """τ of Eq. (1)."""
    exclusion_ns: int
    """Keys of the same place this close in time to a query are no negatives of it."""
    same_site: bool = False
    """Whether only keys of the query's own site are negatives of it."""
    decoupled: bool = False
    """Whether the positive leaves the denominator."""
    soft_targets: float = 0.0
    """Weight, from 0 to 1, of targets that the keys' own similarity gives."""
    soft_temperature: float = 0.02
    intra_modal: float = 0.0
    """Weight of the term between two views of one heatmap."""
    intra_temperature: float = 0.1
    temporal_ns: int = 0
    """Keys of the same place this close in time may stand in for the positive; see `draw`."""

    @property
    def is_equation_1(self) -> bool:
        """Whether nothing is changed in the paper's loss or added to it."""
        return not (self.decoupled or self.soft_targets or self.intra_modal)

    def cross_modal(
        self, logits: Tensor, k_positive: Tensor, k_negative: Tensor, admissible: Tensor
    ) -> Tensor:
        """The loss of radar queries against image keys; Eq. (1) where no setting says else.

        `logits` are `loss.similarity` of the queries with the keys; shapes as there.
        """
        hard = decoupled(logits) if self.decoupled else equation_1(logits)
        if not self.soft_targets:
            return hard
        targets = soft_targets(k_positive, k_negative, admissible, self.soft_temperature)
        soft = soft_cross_entropy(logits, targets)
        return (1 - self.soft_targets) * hard + self.soft_targets * soft


def objective_of(learning: Learning) -> Objective:
    """The objective that the settings ask for."""
    return Objective(
        temperature=learning.temperature,
        # What may be a positive of a query may be no negative of it.
        exclusion_ns=round(NS * max(learning.exclusion_s, learning.temporal_positive_s)),
        same_site=learning.negatives == "site",
        decoupled=learning.decoupled,
        soft_targets=learning.soft_targets,
        soft_temperature=learning.soft_temperature,
        intra_modal=learning.intra_modal,
        intra_temperature=learning.intra_temperature,
        temporal_ns=round(NS * learning.temporal_positive_s),
    )
