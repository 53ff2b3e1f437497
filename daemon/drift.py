"""Has what a site's radar sees changed? A flag on results; nothing else follows from it. Pure.

Rules, for each site:
1. Watched are how unfamiliar frames are and how sure the answers to them, each by an ADWIN of
   its own. Neighbouring frames are near copies, so means over a block of frames are compared.
2. The flag goes up when either changes, in whatever direction, and stays up for a stated number
   of frames after the last change.
3. Each model counts `ood_score` in a unit of its own making, the 99th percentile of known frames,
   so its window goes on when another model comes: a change takes longer to become plain than a
   learner takes to publish. How sure a model is compares with itself alone: that window begins
   anew. A flag that is up stays up for its time.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from rvsense.answer import Answer
from rvsense.config import Serving
from rvsense.daemon.adwin import Adwin

HIGHEST_SCORE = 1e6
"""What is farther off counts as this: the watched value of 1e17 would be 1, that of infinity."""

Signal = Literal["ood_score", "confidence"]
SIGNALS: tuple[Signal, ...] = ("ood_score", "confidence")


@dataclass(frozen=True, slots=True)
class Drift:
    """A change that became plain: of what, and its mean before and after."""

    site: str
    signal: Signal
    before: float
    after: float


@dataclass(slots=True)
class _Block:
    """Frames that are not yet a whole block, and the window of the blocks before."""

    window: Adwin
    count: int = 0
    total: float = 0.0


@dataclass(slots=True)
class _Site:
    model: str
    blocks: dict[Signal, _Block]
    changes: int = 0
    frames_left: int = 0

    def means(self) -> dict[Signal, float | None]:
        """Of each signal's window."""
        return {signal: block.window.mean for signal, block in self.blocks.items()}


@dataclass(slots=True)
class DriftWatch:
    """All sites of a daemon; what is kept of each grows with the logarithm of its frames."""

    settings: Serving
    _sites: dict[str, _Site] = field(default_factory=dict)

    def answered(self, site: str, model: str, answer: Answer) -> list[Drift]:
        """A frame of `site` was answered by `model`; the changes that became plain by it."""
        state = self._sites.get(site)
        if state is None:
            state = self._sites[site] = _Site(model, {signal: self._block() for signal in SIGNALS})
        elif state.model != model:
            state.model = model
            state.blocks["confidence"] = self._block()
        state.frames_left = max(state.frames_left - 1, 0)
        drifts = []
        for signal, value in _values(answer).items():
            change = self._take(site, signal, state.blocks[signal], value)
            if change is not None:
                drifts.append(change)
        if drifts:
            state.changes += len(drifts)
            state.frames_left = self.settings.drift_hold_frames
        return drifts

    def flagged(self, site: str) -> bool:
        """Whether the site's results carry the flag now."""
        state = self._sites.get(site)
        return state is not None and state.frames_left > 0

    def as_map(self) -> dict[str, dict[str, Any]]:
        """For status pages: site to flag, changes so far, and the windows' means and lengths."""
        return {
            name: {
                "drift": state.frames_left > 0,
                "changes": state.changes,
                "blocks": max(len(block.window) for block in state.blocks.values()),
            }
            | {
                signal: None if mean is None else _own(signal, mean)
                for signal, mean in state.means().items()
            }
            for name, state in self._sites.items()
        }

    def _block(self) -> _Block:
        return _Block(Adwin(self.settings.drift_delta))

    def _take(self, site: str, signal: Signal, block: _Block, value: float) -> Drift | None:
        block.count += 1
        block.total += value
        if block.count < self.settings.drift_block_frames:
            return None
        change = block.window.add(block.total / block.count)
        block.count, block.total = 0, 0.0
        if change is None:
            return None
        return Drift(site, signal, _own(signal, change.before), _own(signal, change.after))


def _values(answer: Answer) -> dict[Signal, float]:
    """What is watched of an answer, between 0 and 1 as ADWIN needs it."""
    values: dict[Signal, float] = {}
    if answer.ood_score is not None:
        score = min(answer.ood_score, HIGHEST_SCORE)
        values["ood_score"] = score / (1.0 + score)
    if answer.probs:
        values["confidence"] = max(answer.probs.values())
    return values


def _own(signal: Signal, value: float) -> float:
    """A watched value in the units of its signal: scores have no upper end."""
    return value / (1.0 - value) if signal == "ood_score" else value
