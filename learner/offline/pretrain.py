"""Contrastive pre-training over a table that is there from the start: shuffled epochs.

The same draw, loss, step, schedule and averaging as the stream's learner; only the order differs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rvsense.config import Learning
from rvsense.encoders import RadarEncoder
from rvsense.learner import diagnostics, schedule
from rvsense.learner.augment import Augmentation
from rvsense.learner.averaging import Average
from rvsense.learner.backgrounds import Backgrounds
from rvsense.learner.draw import draw
from rvsense.learner.keys import KeyScale
from rvsense.learner.objective import objective_of
from rvsense.learner.offline.samples import Samples
from rvsense.learner.place import EPOCH_BITS
from rvsense.learner.precision import precision_of
from rvsense.learner.presets import Preset, augmentation_of, rate_of, settled
from rvsense.learner.queue import KeyQueue
from rvsense.learner.step import Outcome, descent, train_step

LAST = 50
"""Steps over which the figures at the end are averaged."""


@dataclass(frozen=True, slots=True)
class Pretrained:
    """The averaged encoder, and what the last steps were like."""

    encoder: RadarEncoder
    loss: float
    mi_bound: float
    """Nats, from below; `mi_ceiling` is the most that so many negatives can show."""
    mi_ceiling: float
    instance_top1: float


class Table:
    """Samples under the names that a batch is drawn by."""

    def __init__(self, data: Samples, rows: Tensor) -> None:
        self._data, self._rows = data, rows
        # A sequence is an epoch of its site's clock: only its own stamps compare.
        self._columns = {
            "stamp": data.stamps_ns[rows],
            "place": (data.sites[rows] << EPOCH_BITS) | data.sequences[rows],
        }

    def take(self, name: str, slots: Tensor | None = None) -> Tensor:
        """The given rows of a column, or all of them."""
        if name in self._columns:
            column = self._columns[name]
            return column if slots is None else column[slots]
        whole = {"input": self._data.inputs, "key": self._data.keys}[name]
        return whole[self._rows if slots is None else self._rows[slots]]


def pretrain(
    encoder: RadarEncoder,
    data: Samples,
    rows: Tensor,
    learning: Learning,
    preset: Preset,
    *,
    seed: int,
    device: torch.device,
    augmentation: Augmentation | None = None,
    after_step: Callable[[int], None] = lambda _: None,
) -> Pretrained:
    """Train `encoder` on the given rows for `learning.total_steps` steps; labels are not read.

    An `augmentation` takes the place of the settings' own. `after_step` is told the number of
    steps done. The same seed gives the same weights.
    """
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    learning = settled(learning, preset)
    table, objective = Table(data, rows), objective_of(learning)
    unit = fitted_scale(table, data.keys.shape[1], learning)
    encoder = encoder.to(device).train()
    average = Average(encoder, learning.ema_samples)
    optimiser = descent(
        encoder,
        rate=rate_of(learning, preset),
        momentum=learning.momentum,
        weight_decay=learning.weight_decay,
    )
    dtype = precision_of(learning)
    queue = KeyQueue(learning.queue, encoder.spec.key_dim, device, dtype)
    how = augmentation or augmentation_of(learning, preset)
    order = torch.empty(0, dtype=torch.int64)
    last: list[Outcome] = []
    for step in range(learning.total_steps):
        if len(order) < learning.batch:
            order = torch.cat([order, torch.randperm(len(rows), generator=generator)])
        slots, order = order[: learning.batch], order[learning.batch :]
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate_at(
                step,
                base=rate_of(learning, preset),
                warmup=learning.warmup_steps,
                total=learning.total_steps,
                shape=preset.decay,
            )
        batch = draw(table, slots, unit=unit, objective=objective, how=how, generator=generator)
        batch = batch.each(lambda tensor: tensor.to(device))
        outcome = train_step(encoder, optimiser, queue, batch, objective, dtype=dtype)
        if outcome.updated:
            average.follow(encoder, step + 1, len(slots))
        last = [*last[1 - LAST :], outcome]
        after_step(step + 1)
    return _summary(average.encoder, last)


def fitted_scale(
    table: Table, key_dim: int, learning: Learning
) -> Callable[[Tensor, Tensor], Tensor]:
    """What makes raw keys the loss's: statistics of the whole table, in its own order."""
    backgrounds = Backgrounds(key_dim, centre=learning.background == "removed")
    scale = KeyScale(
        key_dim,
        standardise=learning.standardise_keys,
        short=learning.short_keys,
        whiten=learning.whiten_keys,
    )
    keys, places = table.take("key"), table.take("place")
    mixed = torch.randperm(len(keys), generator=torch.Generator().manual_seed(0))
    for row in mixed.tolist():
        backgrounds.see(keys[row], int(places[row]))
    for row in mixed.tolist():
        scale.see(backgrounds.less(keys[row : row + 1], places[row : row + 1])[0])
    return lambda raw, where: scale.unit(backgrounds.less(raw, where))


def _summary(encoder: RadarEncoder, last: list[Outcome]) -> Pretrained:
    def mean(values: list[float]) -> float:
        return sum(values) / max(len(values), 1)

    negatives = mean([diagnostics.negatives_per_query(o.logits) for o in last])
    loss = mean([o.info_nce for o in last])
    return Pretrained(
        encoder=encoder,
        loss=loss,
        mi_bound=diagnostics.mi_bound(loss, negatives),
        mi_ceiling=diagnostics.mi_ceiling(negatives),
        instance_top1=mean([diagnostics.instance_accuracy(o.logits, 1) for o in last]),
    )
