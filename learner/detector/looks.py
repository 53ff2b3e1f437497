"""Which pairs the detector looks at, and what it saw last at each place. Pure.

By stamp alone, so that a replay gives the same at any speed: the first pair of a place in each
period. Scenes change slowly, and the pairs of one period are taken for what that first one
showed.
"""

from collections import OrderedDict

import torch
from torch import Tensor

from rvsense.learner.detector.scene import Scene

PLACES = 256
"""Places remembered, the most recent ones: a place is a site between two restarts of its clock."""
NS = 1_000_000_000


class Looks:
    """At most `rate_hz` looks for each second of stamps at each place; 0 = every pair."""

    def __init__(self, rate_hz: float) -> None:
        self._period_ns = round(NS / rate_hz) if rate_hz > 0 else 1
        self._last: OrderedDict[int, tuple[int, Scene]] = OrderedDict()

    def known(self, place: int, stamp_ns: int) -> Scene | None:
        """What the place shows in this period; None when it is time to look."""
        period, scene = self._last.get(place, (None, None))
        return scene if period == stamp_ns // self._period_ns else None

    def saw(self, place: int, stamp_ns: int, scene: Scene) -> None:
        """The detector has looked."""
        self._last[place] = (stamp_ns // self._period_ns, scene)
        self._last.move_to_end(place)
        if len(self._last) > PLACES:
            self._last.popitem(last=False)

    def state(self) -> dict[str, Tensor]:
        """Everything that the next decision depends on: (n, 3) place, period, scene."""
        rows = [(place, period, scene.to_bits()) for place, (period, scene) in self._last.items()]
        return {"last": torch.tensor(rows, dtype=torch.int64).reshape(-1, 3)}

    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`."""
        self._last = OrderedDict(
            (place, (period, Scene.from_bits(bits)))
            for place, period, bits in state["last"].tolist()
        )
