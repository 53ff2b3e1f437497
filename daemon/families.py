"""The metrics that exist: names, help, labels, buckets. What happens to them is metrics.py's.

Names begin with rvsense_ and carry base units; labels come from closed sets and sites.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from rvsense import gate
from rvsense.daemon import decisions, figures, outbox
from rvsense.daemon.drift import SIGNALS
from rvsense.daemon.landing import OUTCOMES
from rvsense.frames import CLASSES
from rvsense.results import ABSTENTIONS
from rvsense.wire import REASONS as REJECTIONS

M = TypeVar("M", Counter, Gauge)

KINDS = ("radar", "camera", "label")
DROPS = ("overload", "late", "duplicate")
REFUSALS = ("damaged", "worse")
LABEL_USES = ("taught", "examined")

# The period of a 30 fps radar, 33 ms, is what both latencies have to stay under.
LATENCY_BUCKETS_S = (
    *(0.001, 0.002, 0.004, 0.006, 0.01, 0.015, 0.02, 0.025),
    *(0.033, 0.05, 0.066, 0.1, 0.25, 1.0),
)
SKEW_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.0167, 0.025, 0.033, 0.05, 0.1)
LAG_BUCKETS_S = (0.01, 0.033, 0.066, 0.1, 0.2, 0.25, 0.3, 0.5, 1.0, 2.5, 5.0)


class Families:
    """One attribute for each metric, registered when made."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._make_intake()
        self._make_serving()
        self._make_learning()
        self._make_service()

    def create_site(self, site: str) -> None:
        """Every label combination of a site, at 0."""
        for kind in KINDS:
            self.received.labels(site, kind)
        for kind in ("radar", "camera"):
            for why in decisions.REASONS:
                self.unpaired.labels(site, kind, why)
        for reason in DROPS:
            self.dropped.labels(site, reason)
        self.pairs.labels(site)
        self.drift.labels(site)
        for signal in SIGNALS:
            self.drifts.labels(site, signal)
        for name in CLASSES:
            self.classifications.labels(site, name)
        for reason in ABSTENTIONS:
            self.abstentions.labels(site, reason)

    def _make_intake(self) -> None:
        self.received = self._counter("frames_received", "Valid frames.", ("site", "kind"))
        self.last_frame = self._gauge(
            "last_frame_timestamp_seconds", "When the last valid frame came.", ("site", "kind")
        )
        self.recording = self._gauge("recording", "1 while a recorder gets a copy of every frame.")
        self.rejected = self._counter("messages_rejected", "Messages out of form.", ("reason",))
        _create(self.rejected, REJECTIONS)
        self.dropped = self._counter(
            "frames_dropped", "Radar frames that got no answer.", ("site", "reason")
        )
        self.unpaired = self._counter(
            "frames_unpaired", "Frames without a partner.", ("site", "kind", "reason")
        )
        self.pairs = self._counter("pairs", "Pairs of a radar and a camera frame.", ("site",))
        self.skew = self._histogram(
            "pair_skew_seconds", "Distance of the two stamps of a pair.", SKEW_BUCKETS_S
        )
        self.lag = self._histogram(
            "pair_lag_seconds", "From the later frame's arrival to the pair.", LAG_BUCKETS_S
        )
        self.offset = self._gauge(
            "clock_offset_seconds", "Radar clock minus camera clock.", ("site",)
        )
        self.forwarded = self._counter("pairs_forwarded", "Pairs that the learner has taken.")
        self.pair_drops = self._counter(
            "pairs_dropped", "Pairs lost on the way to the learner.", ("reason",)
        )
        self.label_drops = self._counter(
            "labels_dropped", "Labels lost on the way to the learner.", ("reason",)
        )
        for drops in (self.pair_drops, self.label_drops):
            _create(drops, outbox.REASONS)

    def _make_serving(self) -> None:
        self.classifications = self._counter(
            "classifications", "Radar frames answered with a class.", ("site", "class")
        )
        self.abstentions = self._counter(
            "abstentions", "Radar frames answered without a class.", ("site", "reason")
        )
        self.inference = self._histogram(
            "inference_seconds", "Time in the network per frame.", LATENCY_BUCKETS_S
        )
        self.latency = self._histogram(
            "latency_seconds", "From a frame's arrival to its published answer.", LATENCY_BUCKETS_S
        )
        self.waiting = self._gauge("waiting_frames", "Radar frames that wait for an answer.")
        self.model_step = self._gauge("model_step", "Training step of the serving model.")
        self.model_published = self._gauge(
            "model_published_timestamp_seconds", "When it was published; 0 = no model yet."
        )
        self.swaps = self._counter("model_swaps", "Models that took over.")
        self.refusals = self._counter("model_refusals", "Models turned down.", ("reason",))
        _create(self.refusals, REFUSALS)
        self.pinned = self._gauge("model_pinned", "1 while the operator has pinned the model.")
        self.held = self._counter("models_held", "Models held back while another is pinned.")
        self.accuracy = self._gauge(
            "prequential_accuracy_ratio", "Right answers among those given before their label."
        )
        self.accuracy.set(math.nan)
        self.scored = self._counter("scored_answers", "Answers compared with a label.")
        self.labels = self._counter("labels_used", "Labels that met their frame.", ("use",))
        _create(self.labels, LABEL_USES)
        self.model_scored = self._gauge(
            "model_scored_answers", "Answers of the serving model compared with a label."
        )
        self.model_figures = {
            "accuracy": self._gauge("model_accuracy_ratio", "Of the serving model's answers."),
            "log_loss_nats": self._gauge(
                "model_log_loss_nats", "Mean over the serving model's answers; ln 4 is a guess."
            ),
            "ece": self._gauge(
                "model_calibration_error_ratio", "Expected error of its confidence, 15 bins."
            ),
        }
        for gauge in self.model_figures.values():
            gauge.set(math.nan)
        self.drift = self._gauge("drift", "1 while a site's results carry the flag.", ("site",))
        self.drifts = self._counter(
            "drift_changes", "Changes that ADWIN found.", ("site", "signal")
        )

    def _make_learning(self) -> None:
        self.figures = _by_figure(figures.GAUGES, self._gauge)
        for gauge in self.figures.values():
            gauge.set(math.nan)  # unknown until the learner speaks: 0 would be an answer
        self.figure_totals = _by_figure(figures.COUNTERS, self._counter)
        self.pool_capacity = self._gauge("pool_capacity_pairs", "Pairs that the pool can hold.")
        self.queue_capacity = self._gauge("queue_capacity_keys", "Keys that the queue can hold.")
        self.learner_up = self._gauge(
            "learner_up", "1 while the learner answers, 0 while it does not, NaN without one."
        )
        self.learner_up.set(math.nan)
        self.restarts = self._counter("learner_restarts", "Starts after an unwanted end.")
        self.cuts = self._counter("learner_cuts", "Times that the link to a remote learner broke.")
        self.fetches = self._counter(
            "model_fetches", "Models that a remote learner offered and we fetched.", ("outcome",)
        )
        _create(self.fetches, OUTCOMES)
        self.fetched_bytes = self._counter("model_fetched_bytes", "Bytes of the models landed.")
        self.checkpoint_time = self._gauge(
            "checkpoint_success_timestamp_seconds", "When the last one was whole; 0 = none yet."
        )
        self.checkpoint_seconds = self._gauge(
            "checkpoint_duration_seconds", "How long the last whole one took."
        )
        self.checkpoint_failures = self._counter("checkpoint_failures", "Checkpoints that failed.")

    def _make_service(self) -> None:
        self.reload_ok = self._gauge(
            "config_last_reload_successful", "0 after a configuration that was refused."
        )
        self.reload_time = self._gauge(
            "config_last_reload_success_timestamp_seconds", "When one was last taken."
        )
        self.subscribers = self._gauge("subscribers", "Subscribers of results.")
        self.auth_denied = self._counter(
            "auth_denied", "Clients turned away or cut off.", ("entrance", "reason")
        )
        for entrance in ("intake", "results", "requests"):
            for reason in gate.REASONS:
                self.auth_denied.labels(entrance, reason)

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"rvsense_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(f"rvsense_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"rvsense_{name}", text, buckets=buckets, registry=self.registry)


def _by_figure(table: Mapping[str, figures.Figure], make: Callable[..., M]) -> dict[str, M]:
    """A metric for each figure; those of one name are children of one metric."""
    families: dict[str, M] = {}
    found: dict[str, M] = {}
    for key, item in table.items():
        label, value = item.label or ("", "")
        if item.name not in families:
            families[item.name] = make(item.name, item.help, (label,) if label else ())
        family = families[item.name]
        found[key] = family.labels(value) if label else family
    return found


def _create(counter: Counter, values: Iterable[str]) -> None:
    for value in values:
        counter.labels(value)
