"""What the daemon does about what its model keeper concluded: swap, count, say. I/O thread only."""

from collections.abc import Callable, Mapping
from typing import Any

import structlog

from rvsense import results
from rvsense.daemon.models import Order, Outcome
from rvsense.daemon.parts import Parts
from rvsense.model import ServableModel

Values = Mapping[str, Any]


class Conclusions:
    """Acts on outcomes, one at a time; answers come from the new model after that."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._log = structlog.get_logger()

    def act(self, outcome: Outcome) -> None:
        """Swap what passed, count what did not, and tell who asked for it."""
        if outcome.model is not None:
            self._swap(outcome, outcome.model)
        elif outcome.reason == "held":
            self._parts.held += 1
            self._parts.metrics.model_held()
            self._log.info("model_held", model=outcome.path.name, pinned=outcome.note.model)
        elif outcome.reason in ("damaged", "worse"):
            self._refuse(outcome)
        elif outcome.reason == "impossible":
            self._log.error("rollback_refused", detail=outcome.detail)
        if outcome.asked == "release" and outcome.reason != "held":
            self._log.info("model_released", model=outcome.path.name)
        self._parts.metrics.model_pinned(outcome.note.pinned)
        if outcome.tell is not None:
            outcome.tell(outcome)

    def _swap(self, outcome: Outcome, model: ServableModel) -> None:
        parts, published = self._parts, model.published
        parts.inference.swap(model)
        parts.metrics.model_swapped(published.step, published.manifest["created_ns"] / 1e9)
        parts.swaps += 1
        parts.model_history.serves(
            model, "rolled_back" if outcome.asked == "rollback" else "swapped"
        )
        parts.publisher.announce(
            "model",
            {"id": published.id, "step": published.step, "sha256": published.sha256},
        )
        head = published.manifest["head"] or {}
        facts = {
            "model": published.id,
            "labels": sum(head.get("labels", {}).values()),
            "held_out_accuracy": head.get("accuracy"),
        }
        if outcome.asked == "rollback":
            self._log.warning("model_rolled_back", **facts)
        else:
            self._log.info("model_swapped", **facts)

    def _refuse(self, outcome: Outcome) -> None:
        parts = self._parts
        parts.refused[outcome.reason] += 1
        parts.metrics.model_refused(outcome.reason)
        parts.model_history.refused(outcome.path.name, outcome.reason, outcome.detail)
        self._log.error(
            "model_refused",
            model=outcome.path.name,
            reason=outcome.reason,
            detail=outcome.detail,
        )


def have_done(parts: Parts, what: str, model: str, reply: Callable[[Values], None]) -> bool:
    """Order a rollback or a release; `reply` gets what is sent to who asked, when it is done.

    Returns False when too many orders wait already.
    """

    def tell(outcome: Outcome) -> None:
        reply(_reply(outcome))

    return parts.keeper.order(Order("rollback" if what == "rollback" else "release", model, tell))


def _reply(outcome: Outcome) -> Values:
    if outcome.reason == "impossible":
        return {"ok": False, "error": {"code": "no_such_model", "message": outcome.detail}}
    note, serving = outcome.note, outcome.serving
    return {
        "ok": True,
        "model": None if serving is None else results.model_name(serving.published).as_map(),
        "previous": note.previous or None,
        "pinned": note.pinned,
        "survives_restart": outcome.noted,
        "tried": outcome.path.name,
        "reason": outcome.reason or None,
        "detail": outcome.detail or None,
    }
