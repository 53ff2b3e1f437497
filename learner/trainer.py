"""All that learns, and all that its next step depends on: no clock, no socket, no disk.

A pair goes in by `ingest`, a step is taken by `train`. `state` and `load` carry everything
between them, so that a restored trainer's next loss is the same to the bit (L4).
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rvsense.config import Learning
from rvsense.device import stage_to
from rvsense.encoders import RadarEncoder
from rvsense.errors import FrameError
from rvsense.learner import chance, images, schedule
from rvsense.learner.averaging import Average
from rvsense.learner.backgrounds import Backgrounds
from rvsense.learner.balance import ClassBalanced
from rvsense.learner.batching import LEAST, BatchSize
from rvsense.learner.collation import Collation, Finding
from rvsense.learner.draw import draw
from rvsense.learner.keys import KeyScale
from rvsense.learner.labels import LabelStore, Taught, stretch_of
from rvsense.learner.objective import objective_of
from rvsense.learner.place import place_of, site_of
from rvsense.learner.pool import NO_CLASS, Policy, make_policy, ring_slot
from rvsense.learner.precision import precision_of
from rvsense.learner.presets import Preset, augmentation_of, rate_of, settled
from rvsense.learner.queue import KeyQueue
from rvsense.learner.rows import Column, Rows
from rvsense.learner.shortage import ShortageError, is_shortage, within_memory
from rvsense.learner.sightings import Sightings
from rvsense.learner.step import Batch, Outcome, descent, train_step
from rvsense.learner.teacher import Teacher
from rvsense.learner.world import ALONE, World
from rvsense.link import Label, Pair
from rvsense.wire import short

HELD_OUT_SHARE = 16
"""One stretch of recording in so many goes to the ring that is never trained on."""


@dataclass(slots=True)
class Counters:
    """What has happened since the very first pair, over all restarts."""

    pairs: int = 0
    held_out: int = 0
    step: int = 0
    samples: int = 0
    nonfinite: int = 0
    nonfinite_in_a_row: int = 0
    bad_images: int = 0
    rollbacks: int = 0
    short_steps: int = 0
    short_pairs: int = 0
    short_labels: int = 0
    """What memory ran out for: steps not taken, pairs and labels let go."""


class Trainer:
    """Encoder, its average, optimiser, pool, held-out ring, queue and labels.

    `collation` looks at images before they are learned from; None: every pair is.
    """

    def __init__(
        self,
        learning: Learning,
        preset: Preset,
        teacher: Teacher,
        encoder: RadarEncoder,
        *,
        seed: int,
        device: torch.device,
        collation: Collation | None = None,
        world: World = ALONE,
    ) -> None:
        learning = settled(learning, preset)
        self.learning, self.preset, self.teacher, self.device = learning, preset, teacher, device
        self.objective = objective_of(learning)
        self.augmentation = augmentation_of(learning, preset)
        self.generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)  # the paper's encoder has a dropout, which knows no generator
        self.world = world
        world.adapt(encoder)
        self.encoder = encoder.to(device).train()
        self._stage = stage_to(device)
        self.average = Average(self.encoder, learning.ema_samples)
        self.optimiser = descent(
            self.encoder,
            rate=rate_of(learning, preset),
            momentum=learning.momentum,
            weight_decay=learning.weight_decay,
        )
        self.batch_size = BatchSize(learning.batch, least=max(LEAST, world.size))
        channels, key_dim = len(preset.channels), teacher.key_dim
        columns = {
            "input": Column((channels, 128, 128), torch.float16),
            "key": Column((key_dim,), torch.float16),
            "stamp": Column((), torch.int64),
            "place": Column((), torch.int64),
        }
        self.pool = Rows(learning.pool_pairs, columns)
        self.ring = Rows(learning.heldout_pairs, columns)
        self.collation = collation
        self.policy: Policy
        if learning.collate == "balance":
            self.policy = ClassBalanced(learning.pool_pairs, self.generator)
        else:
            self.policy = make_policy(
                learning.pool_policy, learning.pool_pairs, key_dim, self.generator
            )
        self.dtype = precision_of(learning)
        self.queue = KeyQueue(learning.queue, encoder.spec.key_dim, device, self.dtype)
        self.scale = KeyScale(
            key_dim,
            standardise=learning.standardise_keys,
            short=learning.short_keys,
            whiten=learning.whiten_keys,
        )
        self.backgrounds = Backgrounds(key_dim, centre=learning.background == "removed")
        self.labels = LabelStore(learning.max_labels, channels, key_dim)
        guessing = learning.label_source == "detector"
        self.pseudo = LabelStore(learning.max_labels if guessing else 0, channels, key_dim)
        self.sightings = Sightings(key_dim)
        self.counters = Counters()

    @property
    def ready(self) -> bool:
        """Whether the pool is deep enough to draw from, and the keys are what they will be."""
        deep = self.pool.fill >= min(self.learning.min_pool_pairs, self.pool.capacity)
        return deep and self.scale.ready

    def ingest(self, pair: Pair) -> bool:
        """Encode the image, keep the pair where the policy says, and let the image go (L2).

        Returns:
            Whether the pair is learned from: collation may leave it out.

        Raises:
            FrameError: `bad_image`, `unreadable` or `not_finite`; nothing is kept of the pair then.
            ShortageError: memory ran out; the pair is counted and let go.
        """
        try:
            return within_memory(lambda: self._ingest(pair))
        except ShortageError:
            self.counters.short_pairs += 1
            raise

    def _ingest(self, pair: Pair) -> bool:
        image, x = self._read(pair)
        place = place_of(pair.site, pair.epoch)
        finding = self._collate(pair, place, image, x)
        if not finding.kept:
            return False
        key = self.teacher.key_of(image)
        if not torch.isfinite(x.sum() + key.sum()):
            raise FrameError("not_finite", "the pair's input or key is not finite")
        self.keep(x, key, pair.site, pair.epoch, pair.stamp_ns, scene=finding.number)
        return True

    def _read(self, pair: Pair) -> tuple[Tensor, Tensor]:
        """Image and input of a pair, before anything is changed by it: it may be anybody's."""
        try:
            return (
                images.decode_image(pair.codec, pair.image, pair.image_shape),
                self.prepare(pair.heatmap),
            )
        except FrameError:
            self.counters.bad_images += 1
            raise
        except (IndexError, RuntimeError, ValueError) as error:
            if is_shortage(error):
                raise
            raise FrameError("unreadable", f"a pair cannot be read ({short(error)})") from None

    def keep(
        self,
        x: Tensor,
        key: Tensor,
        site: str,
        epoch: int,
        stamp_ns: int,
        *,
        scene: int = NO_CLASS,
    ) -> None:
        """Take a pair that is encoded already, and put it where the policy says.

        `x` is its (C, 128, 128) input, `key` its (D,) raw key, both finite; `scene` is what
        `Policy.slot` is told.
        """
        place, kept_key = place_of(site, epoch), key.half()
        row: dict[str, Tensor | int] = {
            "input": x,
            "key": kept_key,
            "stamp": stamp_ns,
            "place": place,
        }
        self.counters.pairs += 1
        for watcher in (self.sightings, self.labels, self.pseudo):
            watcher.see(kept_key, place, stamp_ns)
        if self.backgrounds.see(key, place):
            self.forget(site_of(place))
        # Keys that still have their background would be most of what the scale is fitted to.
        if self.backgrounds.known(place) and self.scale.see(
            self.backgrounds.less(key[None], torch.tensor([place]))[0]
        ):
            self.forget(None)
        stretch = stretch_of(site, epoch, stamp_ns)
        if self.ring.capacity and stretch % HELD_OUT_SHARE == 0:
            slot = ring_slot(self.counters.held_out, self.ring.fill, self.ring.capacity)
            self.ring.put(slot, **row)
            self.counters.held_out += 1
            return
        kept = self.policy.slot(key, self.pool.fill, scene)
        if kept is not None:
            self.pool.put(kept, **row)

    def forget(self, site: int | None) -> None:
        """Keys of one site, or of all, are no negatives of new ones any more, on any rank.

        They were measured with another ruler.
        """
        if site is None:
            self.queue.clear()
        else:
            self.queue.forget(site)
        self.world.lead_forget(site)

    def add_label(self, label: Label) -> None:
        """Keep a labelled frame for the head.

        Raises:
            FrameError: `not_finite`.
            ShortageError: memory ran out; the label is counted and let go.
        """
        try:
            within_memory(lambda: self._add_label(label))
        except ShortageError:
            self.counters.short_labels += 1
            raise

    def _add_label(self, label: Label) -> None:
        x = self.prepare(label.heatmap)
        if not torch.isfinite(x.sum()):
            raise FrameError("not_finite", "the labelled frame is not finite")
        seen = self.sightings.nearest(place_of(label.site, label.epoch), label.stamp_ns)
        self.labels.add(label, x, seen)

    def _collate(self, pair: Pair, place: int, image: Tensor, x: Tensor) -> Finding:
        """What the detector says of a pair; its pseudo-label is kept on the way."""
        if self.collation is None or not torch.isfinite(x.sum()):
            return Finding()
        finding = self.collation.judge(pair.site, place, pair.stamp_ns, image)
        if finding.label is not None:
            label = Label(pair.site, pair.epoch, pair.stamp_ns, finding.label, pair.heatmap)
            self.pseudo.add(label, x)
        return finding

    @property
    def labelled(self) -> int:
        """Labelled frames kept, whoever labelled them."""
        return len(self.labels) + len(self.pseudo)

    def taught(self) -> Taught:
        """What the head is fitted to: a person's word goes before the detector's."""
        return Taught.of(self.labels, self.pseudo)

    def prepare(self, heatmap: Any) -> Tensor:
        """(chirps, 128, 128, 2) heatmap to its (C, 128, 128) input in half precision."""
        x = self.encoder.prepare(torch.from_numpy(heatmap.astype("float32"))[None])
        return x[0].half()

    def train(self) -> Outcome:
        """One step, by all ranks, on a batch drawn from the whole pool (L3).

        Raises:
            ShortageError: memory ran out. Nothing has changed but the size of the next batch, and
                the count of such steps.
        """
        random = chance.state_of(self.generator, self.device)
        try:
            batch = within_memory(self._draw)
            within_memory(lambda: self.world.lead_step(self.counters.step, batch.tensors()))
            return self.step_on(batch)
        except ShortageError:
            chance.restore(self.generator, self.device, random)
            self.fell_short()
            raise

    def step_on(self, batch: Batch) -> Outcome:
        """One step on this batch, which is on the CPU.

        Raises:
            ShortageError: memory ran out, here or on another rank; nothing has changed.
        """
        counters, learning = self.counters, self.learning
        for group in self.optimiser.param_groups:
            group["lr"] = schedule.rate_at(
                counters.step,
                base=rate_of(learning, self.preset),
                warmup=learning.warmup_steps,
                total=learning.total_steps,
                shape=self.preset.decay,
            )
        # The next batch is not drawn meanwhile: pairs that come in between would then be drawn
        # for in another order, at every restart anew (L4).
        outcome = train_step(
            self.encoder,
            self.optimiser,
            self.queue,
            batch,
            self.objective,
            world=self.world,
            dtype=self.dtype,
            stage=self._stage,
        )
        counters.step += 1
        counters.samples += len(batch.x)
        self.batch_size.went_well()
        if outcome.updated:
            counters.nonfinite_in_a_row = 0
            self.average.follow(self.encoder, counters.step, len(batch.x))
        else:
            counters.nonfinite += 1
            counters.nonfinite_in_a_row += 1
        return outcome

    def fell_short(self) -> None:
        """A step, or what is made of one, ran out of memory: the next ones take fewer pairs."""
        self.counters.short_steps += 1
        self.batch_size.fell_short()

    def _draw(self) -> Batch:
        n = min(self.batch_size.now, self.pool.fill)
        slots = torch.randperm(self.pool.fill, generator=self.generator)[:n]
        return draw(
            self.pool,
            slots,
            unit=self.unit_keys,
            objective=self.objective,
            how=self.augmentation,
            generator=self.generator,
        )

    def unit_keys(self, keys: Tensor, places: Tensor) -> Tensor:
        """(n, D) raw keys of (n,) places to the unit keys of Eq. (1)."""
        return self.scale.unit(self.backgrounds.less(keys, places))

    @torch.inference_mode()
    def features(self, inputs: Tensor) -> Tensor:
        """(n, C, 128, 128) inputs to the (n, F) float32 features of the served weights."""
        encoder = self.average.encoder
        parts = [encoder.features(part.float().to(self.device)) for part in torch.split(inputs, 64)]
        return torch.cat(parts).float().cpu() if parts else torch.zeros(0, encoder.feature_dim)

    @torch.inference_mode()
    def queries(self, inputs: Tensor) -> Tensor:
        """(n, C, 128, 128) inputs to (n, D) unit queries of the served weights."""
        encoder = self.average.encoder
        parts = [encoder(part.float().to(self.device)) for part in torch.split(inputs, 64)]
        return F.normalize(torch.cat(parts).float(), dim=1).cpu()

    @property
    def learning_rate(self) -> float:
        """The rate of the last step."""
        return float(self.optimiser.param_groups[0]["lr"])

    @property
    def must_roll_back(self) -> bool:
        """Whether too many steps in a row were not finite (L5)."""
        return self.counters.nonfinite_in_a_row >= self.learning.max_nonfinite_steps

    @property
    def finite(self) -> bool:
        """Whether the served weights are fit to be published."""
        return all(math.isfinite(float(p.sum())) for p in self.average.encoder.parameters())
