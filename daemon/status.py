"""What the daemon says of itself: one plain map for `/statusz`, requests and the live line."""

import os
import time
from collections.abc import Mapping
from typing import Any

from rvsense import __version__
from rvsense.daemon.parts import Parts
from rvsense.daemon.tally import percentile


def describe(parts: Parts, *, waiting: int, replay: Mapping[str, Any] | None) -> dict[str, Any]:
    """Plain values only, ready for JSON and msgpack."""
    return {
        "version": __version__,
        "pid": os.getpid(),
        "uptime_s": round(time.monotonic() - parts.started_at, 1),
        "endpoints": parts.endpoints,
        "state_dir": str(parts.state_dir),
        "lockstep": parts.lockstep,
        "replay": replay,
        "intake": {
            "received": dict(parts.tally.received),
            "rejected": dict(parts.tally.rejected),
        },
        "serving": parts.tally.serving(waiting)
        | {
            "abstained": dict(parts.tally.abstained),
            "errors": parts.inference.errors,
            "latency_p50_ms": percentile(parts.tally.latency_ms, 0.5),
            "latency_p99_ms": percentile(parts.tally.latency_ms, 0.99),
            "subscribers": parts.publisher.subscribers,
        },
        "pairing": _pairing(parts),
        "labels": {
            "taught": parts.tally.taught,
            "examined": parts.tally.examined,
            "without_frame": sum(site.desk.expired for site in list(parts.core.sites.values())),
        },
        "score": parts.score.as_map(),
        "drift": parts.drift.as_map(),
        "model": _model(parts),
        "swaps": parts.swaps,
        "refused": dict(parts.refused),
        "learner": _learner(parts),
    }


def _pairing(parts: Parts) -> dict[str, Any]:
    sites = {
        name: site.pairer.ledger().as_dict()
        | {"offset_ns": site.pairer.offset_ns, "tolerance_ns": site.pairer.tolerance_ns}
        for name, site in list(parts.core.sites.items())
    }
    return {
        "pairs": parts.tally.pairs,
        "pair_log_sha256": parts.tally.pair_log_sha256,
        "thinned": sum(site.thinned for site in list(parts.core.sites.values())),
        "skew_p50_ms": percentile(parts.tally.skew_ms, 0.5),
        "sites": sites,
    }


def _model(parts: Parts) -> dict[str, Any] | None:
    model = parts.inference.model
    if model is None:
        return None
    manifest = model.published.manifest
    return {
        "id": model.published.id,
        "step": model.published.step,
        "sha256": model.published.sha256,
        "age_s": round(time.time() - manifest["created_ns"] / 1e9, 1),
        "preset": manifest.get("preset"),
        "teacher": manifest.get("teacher"),
        "head": manifest["head"],
    }


def _learner(parts: Parts) -> dict[str, Any]:
    learner = parts.learner
    if learner is None:
        return {"enabled": False, "up": False, "figures": {}}
    return {
        "enabled": True,
        "up": learner.state.up,
        "pid": learner.state.pid,
        "restarts": learner.state.restarts,
        "ready": learner.state.ready,
        "figures": learner.state.figures,
        "drained": learner.state.drained,
        "pairs": {
            "sent_on": parts.tally.learn,
            "taken": learner.outbox.forwarded,
            "pending": learner.outbox.pending_pairs,
            "dropped": dict(learner.outbox.dropped),
        },
    }
