"""When to train. Pure.

Lock-step: a fixed number of steps for each pair taken once the pool is deep enough, whatever
the clock says, so that the same input gives the same steps. Free: as fast as the machine goes,
until each pair has been used `max_reuse` times on average; then silence until new ones come.
"""

import math


class Pacing:
    """Steps owed since the daemon said hello."""

    def __init__(self, *, lockstep: bool, steps_per_pair: float, max_reuse: float) -> None:
        self.lockstep = lockstep
        self._steps_per_pair = steps_per_pair
        self._max_reuse = max_reuse
        self._pairs = 0
        self._steps = 0

    def pair_taken(self, *, ready: bool) -> None:
        """A pair has come in; it counts once the pool is ready for training."""
        if ready:
            self._pairs += 1

    def stepped(self) -> None:
        """A step was tried, whether or not it was finite."""
        self._steps += 1

    def wants_step(self, *, ready: bool, samples: int, pairs: int) -> bool:
        """Whether to train now, after `samples` drawn out of `pairs` taken in all."""
        if not ready:
            return False
        if self.lockstep:
            return self._steps < math.floor(self._steps_per_pair * self._pairs)
        return samples < self._max_reuse * pairs
