"""The calls in which the ranks of a training step meet, counted, so that one that fell out of it
can go through the rest of them.

Every rank makes the same calls in the same order, and each call waits for all. A rank that ran out
of memory in the middle goes through the step again with next to nothing in its hands: calls that
it has made are passed over, and the others are made, so that nobody waits. What they bring is of
no use to anybody; that it is so, the last call tells (see `Group.reduce`).

Of the default process group, of which a process has one.
"""

from collections.abc import Callable, Sequence

import torch.distributed as dist
from torch import Tensor


class Calls:
    """How many were made in this step, and which of them are passed over."""

    def __init__(self) -> None:
        self.made = 0
        self._seen = 0

    def begin(self) -> None:
        """A new step."""
        self.made = self._seen = 0

    def again(self) -> None:
        """The same step from its start."""
        self._seen = 0

    def all_reduce(self, tensor: Tensor) -> None:
        """The sum over all ranks, in place."""
        self._meet(lambda: dist.all_reduce(tensor))

    def all_gather(self, into: Sequence[Tensor], tensor: Tensor) -> None:
        """The tensors of all ranks, in their order."""
        self._meet(lambda: dist.all_gather(list(into), tensor))

    def _meet(self, call: Callable[[], object]) -> None:
        self._seen += 1
        if self._seen > self.made:
            self.made = self._seen
            call()


CALLS = Calls()
