"""What a model says of one heatmap: a plain value that pure code may look at."""

from dataclasses import dataclass

from rvsense.frames import SceneClass


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    `probs` is empty without a classifier; `label` is the likeliest class even where the
    caller decides to withhold it; `abstain` says why the model itself gives no class, or None.
    """

    label: SceneClass | None
    probs: dict[str, float]
    ood_score: float | None
    abstain: str | None
