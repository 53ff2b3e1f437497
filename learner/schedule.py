"""The learning rate of each step, and which steps a model follows. Pure.

Without a known end it stays constant after the warm-up: a decay towards a guessed end would
stop a stream from learning. With a known end, `sqrt` is constant, then 1 - √ over the last
fifth (2405.18392), and `cosine` is the paper's. `constant` has no decay whatever the end.
"""

import math
from typing import Literal

COOLDOWN_SHARE = 0.2

Shape = Literal["sqrt", "cosine", "constant"]


def rate_at(step: int, *, base: float, warmup: int, total: int, shape: Shape) -> float:
    """Learning rate of step 0, 1, …; `total` 0 = no known end."""
    if step < warmup:
        return base * (step + 1) / warmup
    if not total or shape == "constant":
        return base
    if shape == "cosine":
        progress = (step - warmup) / max(total - warmup, 1)
        return base * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    cooldown = max(int(COOLDOWN_SHARE * total), 1)
    progress = (step - (total - cooldown)) / cooldown
    return base * (1 - math.sqrt(min(max(progress, 0.0), 1.0)))


def next_publication(step: int, every: int) -> int:
    """The step of the publication after `step`: 30, 60, 90, 135, …, then each `every`.

    Early models change fast and a new user waits for the first; later ones cost more to fit
    than they bring.
    """
    return step + min(every, max(FIRST_PUBLICATION, step // 2))


def publication_due(step: int, labels: int, published: tuple[int, int], every: int) -> bool:
    """Whether a model is due: by its step, or earlier since the labels have doubled.

    `published`: step and labels of the last one.
    """
    last_step, last_labels = published
    if step >= next_publication(last_step, every):
        return True
    patient = step >= last_step + MIN_STEPS_FOR_NEW_LABELS
    return patient and last_step > 0 and labels >= max(2 * last_labels, 2)


FIRST_PUBLICATION = 30
MIN_STEPS_FOR_NEW_LABELS = 10
"""A model is published early when the labels have doubled, but not at every label."""
