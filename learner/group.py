"""Several processes that take each step together, over torch.distributed (see `world`).

Two channels. Orders and batches go from rank 0 to all over gloo in host memory: a follower
that waits for its next order must not keep a GPU busy. Queries and gradients go over the
group's own backend: nccl on CUDA, gloo on a CPU.

A rank that dies closes its connections, and one that hangs runs into the time limit: the others
then fail in their next collective and end with status 1, and torchrun ends or restarts the job.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import msgpack
import safetensors.torch
import torch
import torch.distributed as dist
from torch import Tensor, nn

from rvsense.config import Learning
from rvsense.errors import ConfigError, RvsenseError
from rvsense.learner.collectives import CALLS
from rvsense.learner.shortage import ShortageError, within_memory
from rvsense.learner.syncnorm import synchronise
from rvsense.learner.world import Alone, World

T = TypeVar("T")

SIGNS_OF_LIFE = 4
"""Orders that a waiting follower gets within the time limit, at least."""


class GroupError(RvsenseError):
    """A rank has gone, or has been silent for too long."""


@dataclass(frozen=True, slots=True)
class Order:
    """What rank 0 tells the others to do: `step`, `load`, `forget`, `wait` or `stop`."""

    op: str
    values: dict[str, Any]
    tensors: dict[str, Tensor]


class Group:
    """This process as one rank of the default process group, which must exist.

    `shuffle`: batch statistics stay those of each rank's own rows, and rows are dealt to the
    ranks at random, so that two views of one input seldom share their statistics (He et al.,
    1911.05722, 3.3). Else they are those of all rows of all ranks.
    """

    def __init__(self, timeout_s: float, *, shuffle: bool) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self._shuffle = shuffle
        self._dealer = torch.Generator()
        limit = timedelta(seconds=timeout_s)
        self._orders: Any = dist.new_group(backend="gloo", timeout=limit)
        self._silence_s = timeout_s / SIGNS_OF_LIFE
        self._spoke_at = time.monotonic()
        self._short = self._agreed = False

    def adapt(self, encoder: nn.Module) -> None:
        """Synchronise batch statistics, unless rows are shuffled instead."""
        if not self._shuffle:
            synchronise(encoder)

    def attempt(self, work: Callable[[], T], motions: Callable[[], None]) -> T:
        """Do this rank's part of a step; where its memory runs out, let no other wait for it.

        Raises:
            ShortageError: on every rank, when one ran out: none takes the step.
            GroupError: this one ran out when the others had already agreed to take it.
        """
        CALLS.begin()
        self._short = self._agreed = False
        try:
            return within_memory(work)
        except ShortageError as error:
            if self._agreed:
                raise GroupError(
                    f"training in a group: this process ran out of memory too late ({error})"
                ) from None
            if self._short:  # it was another rank
                raise
            said = str(error)
        CALLS.again()
        self._short = True
        motions()
        raise ShortageError(said)  # which `reduce` has done, at the end of the motions

    def go_through(self, encoder: nn.Module, row: Tensor, count: int) -> None:
        """What `encode` and `reduce` of `count` rows do with other ranks, on a single row."""
        own = encoder(row)
        sizes = [len(share) for share in self.deal(count).tensor_split(self.size)]
        self._gather(own, sizes).sum().backward()  # type: ignore[no-untyped-call]
        self.reduce(encoder)

    def encode(self, encoder: nn.Module, inputs: Tensor) -> Tensor:
        """(m, …) inputs, m at least `size`, to all their (m, D) queries, in their order."""
        deal = self.deal(len(inputs)).to(inputs.device)
        shares = deal.tensor_split(self.size)
        own = encoder(inputs[shares[self.rank]])
        return self._gather(own, [len(share) for share in shares])[deal.argsort()]

    def deal(self, count: int) -> Tensor:
        """The order in which so many rows are cut into shares, the same on all ranks."""
        if self._shuffle:
            return torch.randperm(count, generator=self._dealer)
        return torch.arange(count)

    def reduce(self, encoder: nn.Module) -> None:
        """One all-reduce over all gradients; statistics differ only where rows are shuffled.

        Raises:
            ShortageError: a rank ran out of memory in this step.
        """
        if self._shuffle:
            self._average_statistics(encoder)
        gradients = [p.grad for p in encoder.parameters() if p.grad is not None]
        # Behind the gradients: how many ranks ran out. All learn it in one call, the last.
        ran_out = torch.full_like(gradients[0].reshape(-1)[:1], float(self._short))
        flat = torch.cat([*(gradient.reshape(-1) for gradient in gradients), ran_out])
        CALLS.all_reduce(flat)
        if float(flat[-1]):
            self._short = True
            raise ShortageError("another process of this learner ran out of memory")
        self._agreed = True
        sums = torch.split(flat[:-1], [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, sums, strict=True):
            gradient.copy_(part.view_as(gradient))

    def lead_step(self, step: int, batch: Mapping[str, Tensor]) -> None:
        """Send the batch, and a seed that makes this step the same after a restore.

        The seed comes from the process-wide generator, which checkpoints hold; the trainer's
        own draws the same batches as it does alone.
        """
        seed = int(torch.randint(2**62, ()))
        self._tell("step", batch, step=step, seed=seed)
        self.begin_step(seed)

    def begin_step(self, seed: int) -> None:
        """Seed what this step draws: the deal is the same on all ranks, dropout is not."""
        self._dealer.manual_seed(seed)
        torch.manual_seed(seed + self.rank)

    def lead_load(self, network: Mapping[str, Tensor]) -> None:
        """Send the weights; on another rank, which has been sent them: nothing."""
        if self.rank == 0:
            self._tell("load", network)

    def lead_forget(self, site: int | None) -> None:
        """Send the order; on another rank, which has been sent it: nothing."""
        if self.rank == 0:
            self._tell("forget", {}, site=site)

    def keep_alive(self) -> None:
        """Send a sign of life when there has been none for a while."""
        if time.monotonic() - self._spoke_at >= self._silence_s:
            self._tell("wait", {})

    def stop(self) -> None:
        """On rank 0: send the others home."""
        self._tell("stop", {})

    def orders(self) -> Iterator[Order]:
        """On any other rank: all that there is to do, until it is to stop.

        Raises:
            GroupError: when rank 0 has gone or is silent for too long.
        """
        while (order := self._hear()).op != "stop":
            if order.op != "wait":
                yield order

    def _tell(self, op: str, tensors: Mapping[str, Tensor], **values: Any) -> None:
        parts = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        data = msgpack.packb([op, values, safetensors.torch.save(parts) if parts else b""])
        # Made before the first word: a rank that was told a length waits for what has it.
        length, content = (
            torch.tensor(len(data)),
            torch.frombuffer(bytearray(data), dtype=torch.uint8),
        )
        with _naming("a follower"):
            self._broadcast(length)
            self._broadcast(content)
        self._spoke_at = time.monotonic()

    def _hear(self) -> Order:
        with _naming("rank 0"):
            length = self._broadcast(torch.tensor(0))
            data = self._broadcast(torch.empty(int(length), dtype=torch.uint8))
        op, values, tensors = msgpack.unpackb(data.numpy().tobytes())
        return Order(op, values, safetensors.torch.load(tensors) if tensors else {})

    def _broadcast(self, tensor: Tensor) -> Tensor:
        dist.broadcast(tensor, src=0, group=self._orders)
        return tensor

    def _gather(self, own: Tensor, counts: list[int]) -> Tensor:
        """The shares of all ranks one after the other; only the own one has a gradient."""
        padded = own.new_zeros(max(counts), *own.shape[1:])  # a gather wants equal shapes
        padded[: len(own)] = own.detach()
        shares = [torch.empty_like(padded) for _ in counts]
        CALLS.all_gather(shares, padded)
        parts = [share[:count] for share, count in zip(shares, counts, strict=True)]
        parts[self.rank] = own
        return torch.cat(parts)

    @torch.no_grad()
    def _average_statistics(self, encoder: nn.Module) -> None:
        for buffer in encoder.buffers():
            if buffer.is_floating_point():
                CALLS.all_reduce(buffer)
                buffer.div_(self.size)


@contextmanager
def joined(learning: Learning, device: torch.device, env: Mapping[str, str]) -> Iterator[World]:
    """The world that torchrun's environment describes; `Alone` without one.

    When the body ends on rank 0, however it ends, the others are told to stop.

    Raises:
        ConfigError: for fewer GPUs or rows in a batch than ranks.
        GroupError: when the ranks do not find each other.
    """
    size = int(env.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Alone()
        return
    check(learning, size)
    if device.type == "cuda":
        _take_gpu(int(env["LOCAL_RANK"]))
    limit = timedelta(seconds=learning.group_timeout_s)
    backend = "nccl" if device.type == "cuda" else "gloo"
    with _naming("another rank"):
        dist.init_process_group(backend, timeout=limit)
    try:
        group = Group(learning.group_timeout_s, shuffle=learning.shuffle_bn)
        try:
            yield group
        finally:
            if group.rank == 0:
                with suppress(GroupError):  # whoever is gone already needs no order to go
                    group.stop()
    finally:
        dist.destroy_process_group()


def check(learning: Learning, size: int) -> None:
    """See that each of `size` ranks has a row in every batch.

    Raises:
        ConfigError: naming the setting.
    """
    for name in ("batch", "min_pool_pairs"):
        if (value := getattr(learning, name)) < size:
            raise ConfigError(
                f"learning.{name} = {value}, and there are {size} processes, each of which needs "
                f"a pair of every batch; give torchrun a --nproc-per-node of at most {value}"
            )


def _take_gpu(local_rank: int) -> None:
    count = torch.cuda.device_count()
    if local_rank >= count:
        raise ConfigError(
            f"process {local_rank + 1} of this machine needs a GPU of its own and torch sees "
            f"{count}; give torchrun --nproc-per-node {count}, or set learning.device = cpu"
        )
    torch.cuda.set_device(local_rank)


@contextmanager
def _naming(who: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise GroupError(f"training in a group: {who} does not answer ({error})") from None
