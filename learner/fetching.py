"""Which models are being fetched, and must stay until they are through.

On a slow line more models may be published than `learning.models_kept` while one comes over: if
that one were removed, such a daemon would never get any. A daemon is known by the life of its
hello, so that a cut in the middle costs it nothing.
"""

from collections.abc import Mapping

PATIENCE_S = 600.0
"""Without another chunk asked for, a fetch is taken to have ended."""
MOST_MODELS = 8
"""Kept for that reason, beyond `learning.models_kept`: those asked for last."""


class Fetching:
    """The model that each daemon last asked for a chunk of."""

    def __init__(self) -> None:
        self._asked: dict[str, tuple[str, float]] = {}

    def note(self, life: str, model: str, now: float) -> None:
        """A daemon has been given a chunk of a model."""
        self._asked.pop(life, None)
        self._asked[life] = model, now

    def spared(self, now: float) -> frozenset[str]:
        """Names of the models that must stay."""
        self._asked = _current(self._asked, now)
        models = dict.fromkeys(model for model, _ in reversed(self._asked.values()))
        return frozenset(list(models)[:MOST_MODELS])


def _current(asked: Mapping[str, tuple[str, float]], now: float) -> dict[str, tuple[str, float]]:
    return {life: (model, at) for life, (model, at) in asked.items() if now - at < PATIENCE_S}
