"""What one would write first: a loop over a loader with lightly's loss and its memory bank.

Each step decodes and encodes its images anew, in one batch. To its favour all payloads lie in
memory and heatmaps are prepared; encoder, teacher, augmentation, optimiser and precision are
rvsense's.
"""

from collections.abc import Callable, Sequence

import torch
from lightly.loss import NTXentLoss
from torch import Tensor

from rvsense.config import Learning
from rvsense.encoders import RadarEncoder
from rvsense.learner import images, schedule
from rvsense.learner.augment import Augmentation, augment
from rvsense.learner.teacher import Teacher

Keys = Callable[[Tensor], Tensor]
"""(n,) slots to the (n, D) raw keys of their images."""


def encoding(payloads: Sequence[bytes], teacher: Teacher) -> Keys:
    """Keys by decoding and encoding the JPEG images of the slots, each time."""

    @torch.inference_mode()
    def keys(slots: Tensor) -> Tensor:
        decoded = (images.decode_image("jpeg", payloads[i], None) for i in slots.tolist())
        batch = torch.stack([images.squash(image) for image in decoded])
        encoded: Tensor = teacher.network(teacher.preprocess(batch))
        return encoded.clone()

    return keys


class Loop:
    """Shuffled epochs over (n, C, 128, 128) inputs; `step` takes the keys from whom it is given."""

    def __init__(
        self,
        encoder: RadarEncoder,
        inputs: Tensor,
        learning: Learning,
        *,
        rate: float,
        seed: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.encoder = encoder.train()
        self.steps = 0
        self.samples = 0
        self._dtype = dtype
        self._inputs, self._learning, self._rate = inputs, learning, rate
        self._generator = torch.Generator().manual_seed(seed)
        self._order = torch.empty(0, dtype=torch.int64)
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)  # the bank begins as noise, which knows no generator
            self._loss = NTXentLoss(
                temperature=learning.temperature,
                memory_bank_size=(learning.queue, encoder.spec.key_dim),
            )
        self._optimiser = torch.optim.SGD(
            encoder.parameters(),
            lr=rate,
            momentum=learning.momentum,
            weight_decay=learning.weight_decay,
        )

    def step(self, keys_of: Keys) -> float:
        """One update; the loss."""
        slots = self._next()
        x = augment(self._inputs[slots].float(), Augmentation(), self._generator)
        with torch.autocast("cpu", self._dtype, enabled=self._dtype != torch.float32):
            q = self.encoder(x)
        loss: Tensor = self._loss(q.float(), keys_of(slots).detach())
        for group in self._optimiser.param_groups:
            group["lr"] = schedule.rate_at(
                self.steps,
                base=self._rate,
                warmup=self._learning.warmup_steps,
                total=self._learning.total_steps,
                shape="constant",
            )
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self.steps += 1
        self.samples += len(slots)
        return loss.item()

    def _next(self) -> Tensor:
        if len(self._order) < self._learning.batch:
            mixed = torch.randperm(len(self._inputs), generator=self._generator)
            self._order = torch.cat([self._order, mixed])
        slots, self._order = (
            self._order[: self._learning.batch],
            self._order[self._learning.batch :],
        )
        return slots
