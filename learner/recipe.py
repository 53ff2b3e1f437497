"""The numbers that the paper states (sections IV-C, V-B and Fig. 4), in one place. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rvsense.config import Learning


def _queues() -> dict[int, tuple[int, ...]]:
    return {64: (64, 128, 192, 256, 320), 128: (128, 256)}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is trained for how long, and against how many negatives."""

    learning_rate: float = 0.03
    """Of contrastive pre-training: SGD, from here down a cosine to 0, without a warm-up."""
    momentum: float = 0.9
    weight_decay: float = 1e-4
    pretrain_epochs: int = 400
    """About 12 hours on the paper's four GPUs."""
    supervised_epochs: int = 300
    finetune_epochs: int = 32
    linear_epochs: int = 32
    downstream_learning_rate: float = 1e-4
    """Of the three stages with labels.

    Their optimiser is not stated, and it matters: SGD at this rate hardly moves a new layer in
    32 epochs, while it is a usual rate of Adam on VGG-16. So ours is Adam, with the weight
    decay kept apart from the gradient (AdamW).
    """
    batches: tuple[int, ...] = (64, 128)
    queues: Mapping[int, tuple[int, ...]] = field(default_factory=_queues)
    """Batch size to the queue sizes K of Fig. 4; more did not fit on the paper's GPUs."""


PAPER = Recipe()


def steps_for(epochs: int, pairs: int, batch: int) -> int:
    """Training steps, and so the length of the cosine, of so many passes over so many pairs.

    What an epoch leaves of a last batch begins the next.
    """
    return max(epochs * pairs // batch, 1)


def as_stated(learning: Learning, *, batch: int, queue: int, pairs: int) -> Learning:
    """The settings of one pre-training of Fig. 4 over `pairs` pairs, and no lever beyond it.

    Machine, teacher's weights and τ, which the paper leaves open, stay as they are.
    """
    return replace(
        learning,
        preset="paper",
        inputs="",
        batch=batch,
        queue=queue,
        learning_rate=PAPER.learning_rate,
        momentum=PAPER.momentum,
        weight_decay=PAPER.weight_decay,
        warmup_steps=0,
        total_steps=steps_for(PAPER.pretrain_epochs, pairs, batch),
        ema_samples=0,  # the last weights themselves
        exclusion_s=0.0,  # k⁻ are the last K keys, whatever their time
        background="kept",
        negatives="all",
        standardise_keys=False,
        short_keys=0,
        decoupled=False,
        soft_targets=0.0,
        intra_modal=0.0,
        temporal_positive_s=0.0,
    )
