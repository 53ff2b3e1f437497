"""What Prometheus sees of the daemon. Callers say what happened, in their own words.

Every label combination exists from the start, or from a site's first frame on, so that a rate
never misses a first event; sites beyond `max_sites` share the label `other`, which bounds the
page whatever comes in. Which metrics there are stands in families.py and figures.py.
"""

import math
import threading
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

from rvsense.daemon import figures
from rvsense.daemon.families import Families

OTHER = "other"

Kind = Literal["radar", "camera", "label"]
M = TypeVar("M", Counter, Gauge)


class Metrics:
    """All metrics of one daemon, in a registry of their own. Safe from any thread.

    Args:
        build: what `rvsense_build_info` shows (version, preset, device, ...), text only.
        max_sites: how many sites get labels of their own.
    """

    def __init__(self, build: Mapping[str, str], max_sites: int) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._max_sites = max_sites
        self._sites: set[str] = set()
        self._lock = threading.Lock()
        self._totals: dict[tuple[object, ...], float] = {}
        self._learner_is_new = False
        self._children: dict[tuple[object, ...], Any] = {}
        Info("rvsense_build", "What runs here.", registry=self.registry).info(dict(build))
        self._all = Families(self.registry)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The page and its content type: OpenMetrics where `accept` asks for it."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    # Frames and pairs

    def received(self, kind: Kind, site: str, now_s: float) -> None:
        """A valid frame was taken in at Unix time `now_s`."""
        site = self._site(site)
        self._child(self._all.received, site, kind).inc()
        self._child(self._all.last_frame, site, kind).set(now_s)

    def rejected(self, reason: str) -> None:
        """A message was not a frame; `reason` is one of rvsense.wire.REASONS."""
        self._all.rejected.labels(reason).inc()

    def recording(self, running: bool) -> None:
        """A recorder has begun, or has ended."""
        self._all.recording.set(running)

    def dropped(self, site: str, reason: str, count: int = 1) -> None:
        """A radar frame gets no answer: overload, late or duplicate."""
        self._all.dropped.labels(self._site(site), reason).inc(count)

    def unpaired(self, kind: str, site: str, reason: str) -> None:
        """A frame found no partner; `reason` is one of rvsense.daemon.decisions.REASONS."""
        self._all.unpaired.labels(self._site(site), kind, reason).inc()

    def paired(self, site: str, skew_s: float, lag_s: float) -> None:
        """Two frames met: stamps `skew_s` apart, `lag_s` after the later of them came in."""
        self._child(self._all.pairs, self._site(site)).inc()
        self._all.skew.observe(abs(skew_s))
        self._all.lag.observe(lag_s)

    def clock_offset(self, site: str, offset_s: float) -> None:
        """The radar's clock minus the camera's, as estimated or given."""
        self._all.offset.labels(self._site(site)).set(offset_s)

    def pairs_forwarded(self, total: int) -> None:
        """Pairs that the learner has taken from this daemon, altogether."""
        self._raise_to(total, self._all.forwarded)

    def pairs_dropped(self, reason: str, total: int) -> None:
        """Pairs lost on the way to the learner, altogether; `reason` is the outbox's."""
        self._raise_to(total, self._all.pair_drops, reason)

    def labels_dropped(self, reason: str, total: int) -> None:
        """Labels lost there, altogether."""
        self._raise_to(total, self._all.label_drops, reason)

    # Answers and models

    def classified(
        self,
        site: str,
        label: str | None,
        abstain: str | None,
        inference_s: float,
        latency_s: float,
    ) -> None:
        """A radar frame was answered: with a class, or with the reason for withholding one.

        `inference_s` is the network's share, `latency_s` runs from received to published.
        """
        site = self._site(site)
        if abstain is not None:
            self._child(self._all.abstentions, site, abstain).inc()
        else:
            self._child(self._all.classifications, site, label).inc()
        self._all.inference.observe(inference_s)
        self._all.latency.observe(latency_s)

    def waiting_frames(self, count: int) -> None:
        """Radar frames that wait for their answer now."""
        self._all.waiting.set(count)

    def model_swapped(self, step: int, published_s: float) -> None:
        """A model serves from now on; published at Unix time `published_s`."""
        self._all.swaps.inc()
        self.model_restored(step, published_s)

    def model_restored(self, step: int, published_s: float) -> None:
        """The daemon began with this model."""
        self._all.model_step.set(step)
        self._all.model_published.set(published_s)

    def model_refused(self, reason: str) -> None:
        """A published model does not serve: damaged or worse."""
        self._all.refusals.labels(reason).inc()

    def model_held(self) -> None:
        """A published model does not serve because the operator has pinned another."""
        self._all.held.inc()

    def model_pinned(self, pinned: bool) -> None:
        """Whether the serving model stays until the operator says otherwise."""
        self._all.pinned.set(pinned)

    def scored(self, accuracy: float, labels: int) -> None:
        """Accuracy of answers given before their labels came, and how many were compared."""
        self._all.accuracy.set(accuracy)
        self._raise_to(labels, self._all.scored)

    def model_scored(self, figures: Mapping[str, Any]) -> None:
        """The serving model's own answers, as `rvsense.trust.Record.as_map` has them."""
        self._all.model_scored.set(figures["scored"])
        for name, gauge in self._all.model_figures.items():
            gauge.set(math.nan if figures[name] is None else figures[name])

    def label_used(self, use: str) -> None:
        """A label met its frame: it is taught to the learner, or kept to examine models."""
        self._all.labels.labels(use).inc()

    def drifted(self, site: str, signal: str) -> None:
        """What a site's frames show has changed; `signal` is one of rvsense.daemon.drift's."""
        self._all.drifts.labels(self._site(site), signal).inc()

    def drift(self, site: str, flagged: bool) -> None:
        """Whether a site's results carry the flag now."""
        self._all.drift.labels(self._site(site)).set(flagged)

    # Learner

    def learner_up(self, is_up: bool) -> None:
        """Whether the learner answers; never called where nothing learns."""
        self._all.learner_up.set(is_up)

    def learner_restarted(self) -> None:
        """The learner had ended and is started again."""
        self._all.restarts.inc()

    def learner_cuts(self, total: int) -> None:
        """Times that the link to a remote learner broke, altogether."""
        self._raise_to(total, self._all.cuts)

    def model_fetched(self, outcome: str, size_bytes: int) -> None:
        """A model that a remote learner offered; `outcome` is one of rvsense.daemon.landing's."""
        self._all.fetches.labels(outcome).inc()
        self._all.fetched_bytes.inc(size_bytes)

    def learner_figures(self, values: Mapping[str, Any]) -> None:
        """What the learner says of itself; keys that are missing or None keep their value."""
        for key, gauge in self._all.figures.items():
            value = values.get(key)
            if isinstance(value, int | float):
                gauge.set(value * figures.GAUGES[key].scale)
        totals = {
            key: value
            for key in self._all.figure_totals
            if isinstance(value := values.get(key), int | float)
        }
        counters = self._all.figure_totals
        if self._learner_is_new:
            self._learner_is_new = False
            with self._lock:
                for key in totals.keys() - {"step"}:
                    self._totals[(counters[key],)] = totals[key]
        for key, value in totals.items():
            self._raise_to(value, counters[key])

    def learner_ready(self, step: int) -> None:
        """A learner begins at `step`: what it did before is not counted as done now.

        Its first figures, which follow at once, say where its other totals begin.
        """
        self._learner_is_new = True
        with self._lock:
            self._totals[(self._all.figure_totals["step"],)] = step

    def capacities(self, pool_pairs: int, queue_keys: int) -> None:
        """What pool and queue can hold."""
        self._all.pool_capacity.set(pool_pairs)
        self._all.queue_capacity.set(queue_keys)

    def checkpoint(self, ok: bool, now_s: float, seconds: float) -> None:
        """A checkpoint is whole on disk, or it failed; it took `seconds`."""
        if ok:
            self._all.checkpoint_time.set(now_s)
            self._all.checkpoint_seconds.set(seconds)
        else:
            self._all.checkpoint_failures.inc()

    # Service

    def reloaded(self, ok: bool, now_s: float) -> None:
        """The configuration was read, at start too; a bad one leaves the old in place."""
        self._all.reload_ok.set(ok)
        if ok:
            self._all.reload_time.set(now_s)

    def subscribers(self, count: int) -> None:
        """Subscribers of results now."""
        self._all.subscribers.set(count)

    def auth_denied(self, entrance: str, reason: str) -> None:
        """A client was turned away, or cut off; `reason` is one of rvsense.gate.REASONS."""
        self._all.auth_denied.labels(entrance, reason).inc()

    def _child(self, metric: M, *labels: str | None) -> M:
        """`metric.labels(*labels)`, kept: asking for it at every frame costs more than counting."""
        key = (metric, *labels)
        if key not in self._children:
            self._children[key] = metric.labels(*labels)
        child: M = self._children[key]
        return child

    def _site(self, site: str) -> str:
        """The label of a site, all its combinations made when it is first seen."""
        if site in self._sites:
            return site
        with self._lock:
            if site not in self._sites and len(self._sites) >= self._max_sites:
                site = OTHER
            self._all.create_site(site)
            self._sites.add(site)
        return site

    def _raise_to(self, total: float, metric: Counter, *labels: str) -> None:
        """Bring a counter up to a total kept elsewhere; a total that fell began again."""
        key = (metric, *labels)
        if self._totals.get(key) == total:  # as at nearly every turn of the loop
            return
        with self._lock:
            last = self._totals.get(key, 0.0)
            self._totals[key] = total
        counter = self._child(metric, *labels) if labels else metric
        counter.inc(max(0.0, total - last))
