"""What the daemon says of itself: one plain map for `/statusz`, requests and the live line."""

import os
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rvsense import __version__
from rvsense.daemon.parts import Parts
from rvsense.daemon.tally import median_and_p99, percentile


def utc(stamp_ns: int | None) -> str | None:
    """Unix nanoseconds as a date and time of day in UTC, to the second."""
    if stamp_ns is None:
        return None
    return datetime.fromtimestamp(stamp_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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
        "access": parts.doors.as_map(),
        "intake": {
            "received": dict(parts.tally.received),
            "rejected": dict(parts.tally.rejected),
        },
        "serving": parts.tally.serving(waiting)
        | {
            "abstained": dict(parts.tally.abstained),
            "errors": parts.inference.errors,
            **median_and_p99("latency", parts.tally.latency_ms),
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
        "sites": _sites(parts),
        "model_history": parts.model_history.as_list(),
        "recording": _recording(parts),
        "page": {
            "camera": parts.config.page.camera,
            "min_pool_pairs": parts.config.learning.min_pool_pairs,
            "publish_every_steps": parts.config.learning.publish_every_steps,
        },
    }


def _recording(parts: Parts) -> dict[str, Any] | None:
    lease = parts.tap.as_map()
    return lease and {"since": utc(lease.pop("since_ns")), **lease}


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


def _sites(parts: Parts) -> dict[str, Any]:
    """Site → newest answer, rates, ages, skew and clock offset."""
    sites = parts.latest.as_map(time.monotonic())
    for name, site in list(parts.core.sites.items()):
        if name in sites:
            offset_ms = _ms(site.pairer.offset_ns)
            left_ms = deque(abs(s - (offset_ms or 0)) for s in parts.latest.sites[name].skew_ms)
            sites[name] |= {
                "offset_ms": offset_ms,
                "tolerance_ms": _ms(site.pairer.tolerance_ns),
                **median_and_p99("skew_left", left_ms),
                "clocks": parts.clocks.as_map(name),
            }
    return sites


def _ms(value_ns: int | None) -> float | None:
    return None if value_ns is None else value_ns / 1e6


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
        "pinned": parts.keeper.note.pinned,
        "previous": parts.keeper.note.previous or None,
        "held": parts.held,
    }


def _learner(parts: Parts) -> dict[str, Any]:
    learner = parts.learner
    if learner is None:
        return {"enabled": False, "up": False, "figures": {}}
    return {
        "enabled": True,
        "up": learner.state.up,
        "remote": learner.endpoint if learner.remote else None,
        "unreachable_since": utc(learner.state.away_ns),
        "refused": learner.state.refused,
        "cuts": learner.state.cuts,
        "fetching": None if parts.landing is None else parts.landing.progress,
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
        "labels_dropped": dict(learner.outbox.labels_dropped),
    }
