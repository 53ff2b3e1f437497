"""How many processes take each training step together. Here: one, which costs nothing.

The other kind is `group.Group`. Rank 0 leads: it alone owns the socket, the pool, the labels,
checkpoints and publications, and tells the others what to do. Rules, for any number:

- Every rank sees the whole batch, encodes its own share of the rows, and holds all queries. So
  loss, queue and the decision that a step is not finite are the same everywhere.
- A rank's gradients are those of its own rows; their sum is the gradient of the whole batch.
- A rank that runs out of memory has no other wait for it, and none takes the step.
- Weights, optimiser, average and queue thus stay the same on all ranks without being compared.
"""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from torch import Tensor, nn

from rvsense.learner.shortage import within_memory

T = TypeVar("T")


class World(Protocol):
    """What a training step asks of the ranks. `rank` 0 leads `size` of them."""

    rank: int
    size: int

    def adapt(self, encoder: nn.Module) -> None:
        """Change the normalisation of a fresh encoder to fit several ranks, in place."""

    def encode(self, encoder: nn.Module, inputs: Tensor) -> Tensor:
        """(m, …) inputs, the same on all ranks, to all their (m, D) queries.

        Gradients reach the encoder through this rank's share of the rows only.
        """

    def reduce(self, encoder: nn.Module) -> None:
        """After the backward pass: make gradients and batch statistics the same on all ranks.

        Gradients by their sum, running statistics by their mean.

        Raises:
            ShortageError: when a rank ran out of memory.
        """

    def attempt(self, work: Callable[[], T], motions: Callable[[], None]) -> T:
        """What `work` returns, this rank's part of a step as far as it changes nothing.

        `motions` lets other ranks have their part where this one ran out of memory; it ends in
        `go_through`.

        Raises:
            ShortageError: when this or any other rank ran out of memory.
        """

    def go_through(self, encoder: nn.Module, row: Tensor, count: int) -> None:
        """`encode` and `reduce` as for `count` rows, with as little as a (1, …) `row` takes."""

    def lead_step(self, step: int, batch: Mapping[str, Tensor]) -> None:
        """On rank 0: let all others take step number `step` on this batch too."""

    def lead_load(self, network: Mapping[str, Tensor]) -> None:
        """On rank 0: let all others continue from these weights too."""

    def lead_forget(self, site: int | None) -> None:
        """On rank 0: let all others forget the keys of one site, or of all, too."""

    def keep_alive(self) -> None:
        """On rank 0, every second or so: let nobody take its silence for death."""


class Alone:
    """One process: nothing to divide, nobody to tell."""

    rank = 0
    size = 1

    def adapt(self, encoder: nn.Module) -> None:
        """Nothing to change."""

    def encode(self, encoder: nn.Module, inputs: Tensor) -> Tensor:
        """(m, …) inputs to (m, D) queries."""
        q: Tensor = encoder(inputs)
        return q

    def reduce(self, encoder: nn.Module) -> None:
        """They are what they should be."""

    def attempt(self, work: Callable[[], T], motions: Callable[[], None]) -> T:  # noqa: ARG002
        """The work; nobody else waits for it."""
        return within_memory(work)

    def go_through(self, encoder: nn.Module, row: Tensor, count: int) -> None:
        """Nobody waits."""

    def lead_step(self, step: int, batch: Mapping[str, Tensor]) -> None:
        """Nobody follows."""

    def lead_load(self, network: Mapping[str, Tensor]) -> None:
        """Nobody follows."""

    def lead_forget(self, site: int | None) -> None:
        """Nobody follows."""

    def keep_alive(self) -> None:
        """Nobody listens."""


ALONE = Alone()
