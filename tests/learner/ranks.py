"""One rank of the tests in test_group: `python ranks.py FOLDER`, with torchrun's environment.

Plays every scene, as rank 0 or as its follower, and writes what came out to
FOLDER/<size>-<rank>.json. Without the environment it is the one process to compare with.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from rvsense.config import Learning
from rvsense.encoders import EncoderSpec, RadarEncoder, build_encoder
from rvsense.learner import state
from rvsense.learner.follower import follow
from rvsense.learner.group import Group
from rvsense.learner.presets import PRESETS
from rvsense.learner.shortage import ShortageError
from rvsense.learner.teacher import Teacher, tensors_sha256
from rvsense.learner.trainer import Trainer
from rvsense.learner.world import ALONE, World

KEY_DIM = 16
PAIRS = 40
CPU = torch.device("cpu")
CHANNELS = ("magnitude", "motion")
RESIDUAL = EncoderSpec("residual", CHANNELS, KEY_DIM, width=4)
LEARNING = Learning(
    preset="edge", device="cpu", batch=8, queue=30, pool_pairs=PAIRS, min_pool_pairs=8,
    heldout_pairs=0, warmup_steps=3, ema_samples=60, precision="float32",
)  # fmt: skip
ALL_TERMS = replace(LEARNING, batch=15, learning_rate=0.003, intra_modal=0.5, soft_targets=0.3)


class SmallVgg(RadarEncoder):
    """The paper's kind of network: convolutions, no batch normalisation, a dropout at the end."""

    def __init__(self, dropout: float) -> None:
        super().__init__(EncoderSpec("vgg16", CHANNELS, KEY_DIM), feature_dim=8 * 16)
        self.layers = nn.Sequential(
            nn.AvgPool2d(4), nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(8),
            nn.Flatten(), nn.Linear(8 * 16, 32), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(32, KEY_DIM),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(n, 2, 128, 128) to (n, 16)."""
        q: Tensor = self.layers(x)
        return q


class Precise(RadarEncoder):
    """An encoder in double precision.

    Batch statistics of so few rows let rounding grow a hundredfold in a few steps, between one
    process and itself as well; what is left of a difference here is a mistake.
    """

    def __init__(self, encoder: RadarEncoder) -> None:
        super().__init__(encoder.spec, encoder.feature_dim)
        self.encoder = encoder.double()

    def forward(self, x: Tensor) -> Tensor:
        """(n, 2, 128, 128) to (n, 16), both in single precision."""
        q: Tensor = self.encoder(x.double())
        return q.float()


def small_vgg(dropout: float = 0.0) -> RadarEncoder:
    """The same weights every time."""
    torch.manual_seed(5)
    return SmallVgg(dropout)


def residual() -> RadarEncoder:
    """The learner's own encoder, narrow; with batch normalisation."""
    return build_encoder(RESIDUAL, seed=5)


def trainer_of(learning: Learning, encoder: RadarEncoder, world: World) -> Trainer:
    """A trainer with a full pool on rank 0, and without a pair on any other."""
    teacher = Teacher(nn.Identity(), lambda image: image, KEY_DIM, "none", "random", CPU)
    trainer = Trainer(
        learning, PRESETS["edge"], teacher, encoder, seed=3, device=CPU, world=world
    )  # fmt: skip
    generator = torch.Generator().manual_seed(11)
    for i in range(PAIRS if world.rank == 0 else 0):
        x = 0.1 * torch.randn(2, 128, 128, generator=generator)
        row, column = torch.randint(96, (2,), generator=generator).tolist()
        x[:, row : row + 8 + i % 5 * 6, column : column + 8 + i % 7 * 4] += 1 + i % 3
        key = torch.randn(KEY_DIM, generator=generator)
        trainer.pool.put(i, input=x, key=key, stamp=i * 10**10, place=0)
    return trainer


def digest(trainer: Trainer) -> str:
    """Of all that must be the same on every rank."""
    parts = state.tensors(trainer)
    return tensors_sha256({k: v for k, v in parts.items() if k.split(".")[0] in state.NETWORK})


def twenty_steps(trainer: Trainer) -> dict[str, Any]:
    """The losses."""
    return {"losses": [trainer.train().loss for _ in range(20)]}


def a_broken_rank(trainer: Trainer) -> dict[str, Any]:
    """Steps in which the gradients of the last rank alone are not finite."""
    before = digest(trainer), trainer.queue.fill
    outcome = trainer.train()
    network = {k: v for k, v in state.tensors(trainer).items() if k.startswith("encoder")}
    return {
        "updated": outcome.updated,
        "loss_is_finite": outcome.loss == outcome.loss,
        "queue_grew": trainer.queue.fill > before[1],
        "encoder": tensors_sha256(network),
    }


def a_short_step(trainer: Trainer) -> dict[str, Any]:
    """A step, one that a rank has no memory for, and more."""
    losses = [trainer.train().loss]
    before = digest(trainer), trainer.generator.get_state().tolist()
    try:
        trainer.train()
        said = ""
    except ShortageError as error:
        said = str(error)
    changed = before != (digest(trainer), trainer.generator.get_state().tolist())
    losses += [trainer.train().loss for _ in range(4)]
    return {"losses": losses, "said": said, "changed": changed, "batch": trainer.batch_size.now}


def back_and_again(trainer: Trainer) -> dict[str, Any]:
    """The losses after a checkpoint, and those after it has been put back."""
    for _ in range(3):
        trainer.train()
    saved = {k: v.clone() for k, v in state.tensors(trainer).items()}
    values = json.loads(json.dumps(state.values(trainer)))
    first = [trainer.train().loss for _ in range(5)]
    state.load(trainer, saved, values)
    return {"first": first, "again": [trainer.train().loss for _ in range(5)]}


def forgetting(trainer: Trainer) -> dict[str, Any]:
    """The losses while keys of an old ruler leave the queue: of one site, then of all."""
    losses = []
    for site in (0, None):
        losses += [trainer.train().loss for _ in range(3)]
        trainer.forget(site)
    return {"losses": [*losses, trainer.train().loss, trainer.train().loss]}


def a_quiet_while(trainer: Trainer) -> dict[str, Any]:
    """A step after more silence than a follower would bear, but for the signs of life."""
    until = time.monotonic() + 1.4 * trainer.learning.group_timeout_s
    while time.monotonic() < until:
        trainer.world.keep_alive()
        time.sleep(0.1)
    return {"losses": [trainer.train().loss]}


def break_gradients(trainer: Trainer) -> None:
    """Make this rank's part of a gradient NaN."""
    parameter = next(trainer.encoder.parameters())
    parameter.register_hook(  # type: ignore[no-untyped-call]
        lambda gradient: gradient * float("nan")
    )


def second_time() -> Callable[..., None]:
    """Runs out of memory when it is called for the second time."""
    calls = iter(range(1000))

    def call(*_: object) -> None:
        if next(calls) == 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    return call


def short_forward(trainer: Trainer) -> None:
    """In the middle of the encoder."""
    layers = [module for module in trainer.encoder.modules() if isinstance(module, nn.Conv2d)]
    layers[len(layers) // 2].register_forward_pre_hook(second_time())


def short_loss(trainer: Trainer) -> None:
    """When all queries are there."""
    admissible, call = trainer.queue.admissible, second_time()

    def asked(*arguments: Any, **named: Any) -> Tensor:
        call()
        return admissible(*arguments, **named)

    trainer.queue.admissible = asked  # type: ignore[method-assign]


def short_backward(trainer: Trainer) -> None:
    """On the way back, at the last of the gradients."""
    next(trainer.encoder.parameters()).register_hook(  # type: ignore[no-untyped-call]
        second_time()
    )


SHORT = {"forward": short_forward, "loss": short_loss, "backward": short_backward}
Scene = tuple[Learning, Callable[[], RadarEncoder], Callable[[Trainer], dict[str, Any]]]
SHUFFLED = replace(ALL_TERMS, shuffle_bn=True)
SCENES: dict[str, Scene] = {
    "vgg": (LEARNING, small_vgg, twenty_steps),
    "vgg_shuffled": (replace(LEARNING, shuffle_bn=True), small_vgg, twenty_steps),
    "norm": (ALL_TERMS, lambda: Precise(residual()), twenty_steps),
    "norm_shuffled": (SHUFFLED, residual, twenty_steps),
    "short": (replace(ALL_TERMS, precision="bfloat16"), residual, twenty_steps),
    "restore": (SHUFFLED, lambda: small_vgg(0.5), back_and_again),
    "broken": (LEARNING, residual, a_broken_rank),
    "forgotten": (LEARNING, small_vgg, forgetting),
    "short_forward": (LEARNING, residual, a_short_step),
    "short_loss": (SHUFFLED, residual, a_short_step),
    "short_backward": (ALL_TERMS, lambda: Precise(residual()), a_short_step),
    "quiet": (replace(LEARNING, group_timeout_s=5.0), small_vgg, a_quiet_while),
}


def play(name: str, scene: Scene, rank: int, size: int) -> dict[str, Any]:
    """One scene on this rank; what rank 0 saw of it, and the digest of what this rank holds."""
    learning, encoder, lead = scene
    world = ALONE if size == 1 else Group(learning.group_timeout_s, shuffle=learning.shuffle_bn)
    trainer = trainer_of(learning, encoder(), world)
    if name == "broken" and rank == size - 1:
        break_gradients(trainer)
    where = name.removeprefix("short_")
    if where in SHORT and rank == (0 if where == "loss" else size - 1):
        SHORT[where](trainer)
    seen: dict[str, Any] = {}
    if rank > 0:
        assert isinstance(world, Group)
        follow(trainer, world)
    else:
        seen = lead(trainer)
        if isinstance(world, Group):
            world.stop()
    return seen | {"digest": digest(trainer)}


def main(folder: Path) -> None:
    """All scenes."""
    torch.set_num_threads(1)
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if size > 1:
        dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    seen = {name: play(name, scene, rank, size) for name, scene in SCENES.items()}
    (folder / f"{size}-{rank}.json").write_text(json.dumps(seen))
    if size > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
