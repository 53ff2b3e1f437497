"""The metrics page: names by the book, every combination from the start, bounded."""

import math
import subprocess
from collections.abc import Callable, Iterator
from typing import get_args

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from rvsense.daemon import families, figures, order
from rvsense.daemon.metrics import Metrics
from rvsense.daemon.outbox import Outbox
from rvsense.frames import CLASSES
from rvsense.results import ABSTENTIONS
from rvsense.wire import REASONS


@pytest.fixture
def metrics() -> Metrics:
    """Metrics that give labels of their own to two sites."""
    return Metrics({"version": "0.1.0", "preset": "edge"}, max_sites=2)


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample of the page by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """One sample's value; a label `class_` is `class`."""
    plain = {key.rstrip("_"): text for key, text in labels.items()}
    return metrics.registry.get_sample_value(f"rvsense_{name}", plain)


def use_everything(metrics: Metrics) -> None:
    """Everything that a daemon can report, once."""
    metrics.received("radar", "north", 100.0)
    metrics.rejected("bad_size")
    metrics.dropped("north", "overload", 3)
    metrics.unpaired("camera", "north", "unmatched")
    metrics.paired("north", -0.004, 0.2)
    metrics.clock_offset("north", -0.015)
    metrics.pairs_forwarded(7)
    metrics.pairs_dropped("learner_lost", 2)
    metrics.classified("north", "car", None, 0.004, 0.006)
    metrics.classified("north", None, "no_model", 0.0, 0.001)
    metrics.waiting_frames(2)
    metrics.model_swapped(100, 50.0)
    metrics.model_refused("worse")
    metrics.model_held()
    metrics.model_pinned(True)
    metrics.scored(0.75, 4)
    metrics.learner_up(True)
    metrics.learner_restarted()
    metrics.learner_ready(0)
    metrics.learner_cuts(1)
    metrics.model_fetched("landed", 10)
    metrics.learner_figures(dict.fromkeys(figures.GAUGES | figures.COUNTERS, 1))
    metrics.capacities(4096, 4096)
    metrics.checkpoint(True, 60.0, 0.3)
    metrics.checkpoint(False, 61.0, 0.0)
    metrics.reloaded(True, 10.0)
    metrics.reloaded(False, 11.0)
    metrics.subscribers(3)


def test_promtool_finds_nothing(
    metrics: Metrics, promtool: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """Names, units and help texts pass Prometheus's own check, with every metric in use."""
    use_everything(metrics)
    page, content_type = metrics.exposition("text/plain")
    assert content_type.startswith("text/plain; version=")
    checked = promtool("check", "metrics", text=page.decode())
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_openmetrics_where_asked(metrics: Metrics) -> None:
    """A scraper that asks for OpenMetrics gets a page that its parser reads."""
    use_everything(metrics)
    page, content_type = metrics.exposition("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    parsed = text_string_to_metric_families(page.decode())  # type: ignore[no-untyped-call]
    families = {family.name for family in parsed}
    assert {"rvsense_frames_received", "rvsense_latency_seconds", "rvsense_build"} <= families


def test_prefix_and_no_created_series(metrics: Metrics) -> None:
    """Every name is ours or the process collector's, and none says when it was created."""
    use_everything(metrics)
    names = {name for name, _ in samples(metrics)}
    assert all(name.startswith(("rvsense_", "process_")) for name in names)
    assert not any(name.endswith("_created") for name in names)
    assert "process_resident_memory_bytes" in names


def test_reasons_are_there_from_the_start(metrics: Metrics) -> None:
    """A reason that never happened is a 0, not a hole."""
    assert all(value(metrics, "messages_rejected_total", reason=name) == 0 for name in REASONS)
    assert value(metrics, "model_refusals_total", reason="damaged") == 0
    for what in ("pairs", "labels"):
        for reason in Outbox(most=1).dropped:
            assert value(metrics, f"{what}_dropped_total", reason=reason) == 0


def test_reasons_are_those_of_their_source() -> None:
    """The closed sets here are the ones that the code elsewhere can report."""
    assert set(families.DROPS) == {"overload", *get_args(order.Refusal)}


def test_a_site_brings_its_combinations(metrics: Metrics) -> None:
    """With a site's first frame all its classes and reasons exist; nothing new comes later."""
    metrics.received("radar", "north", 1.0)
    metrics.received("camera", "north", 1.0)
    assert all(
        value(metrics, "classifications_total", site="north", class_=name) == 0 for name in CLASSES
    )
    assert all(
        value(metrics, "abstentions_total", site="north", reason=name) == 0 for name in ABSTENTIONS
    )
    before = {name for name in samples(metrics) if "offset" not in name[0]}
    use_everything(metrics)
    after = {name for name in samples(metrics) if "offset" not in name[0]}
    assert after == before


def test_sites_are_bounded(metrics: Metrics) -> None:
    """However many sites come, two have labels here and the others share one."""
    for number in range(100):
        metrics.received("radar", f"site-{number}", 1.0)
        metrics.classified(f"site-{number}", "car", None, 0.001, 0.002)
    sites = {dict(labels)["site"] for _, labels in samples(metrics) if "site" in dict(labels)}
    assert sites == {"site-0", "site-1", "other"}
    assert value(metrics, "frames_received_total", site="other", kind="radar") == 98
    assert value(metrics, "classifications_total", site="other", class_="car") == 98


def test_what_happened_is_counted(metrics: Metrics) -> None:
    """Each report lands in its metric, in base units."""
    use_everything(metrics)
    assert value(metrics, "last_frame_timestamp_seconds", site="north", kind="radar") == 100.0
    assert value(metrics, "frames_dropped_total", site="north", reason="overload") == 3
    assert value(metrics, "pair_skew_seconds_bucket", le="0.005") == 1
    assert value(metrics, "pair_skew_seconds_sum") == 0.004
    assert value(metrics, "classifications_total", site="north", class_="car") == 1
    assert value(metrics, "abstentions_total", site="north", reason="no_model") == 1
    assert value(metrics, "latency_seconds_count") == 2
    assert value(metrics, "model_step") == 100
    assert value(metrics, "model_published_timestamp_seconds") == 50.0
    assert value(metrics, "teacher_encode_seconds") == 0.001
    assert value(metrics, "checkpoint_success_timestamp_seconds") == 60.0
    assert value(metrics, "checkpoint_failures_total") == 1
    assert value(metrics, "config_last_reload_successful") == 0
    assert value(metrics, "config_last_reload_success_timestamp_seconds") == 10.0


def test_33_ms_is_a_bound(metrics: Metrics) -> None:
    """A 30 fps radar's period is a bucket of both latencies, so its share can be read off."""
    assert value(metrics, "latency_seconds_bucket", le="0.033") == 0
    assert value(metrics, "inference_seconds_bucket", le="0.033") == 0


def test_unknown_is_not_zero(metrics: Metrics) -> None:
    """What the learner has not said is NaN; what it leaves out or sends as None stays."""
    assert math.isnan(value(metrics, "training_loss_nats") or 0.0)
    assert math.isnan(value(metrics, "learner_up") or 0.0)
    metrics.learner_figures({"loss": 3.5, "retrieval": None, "unheard_of": 1})
    metrics.learner_figures({"loss": None})
    assert value(metrics, "training_loss_nats") == 3.5
    assert math.isnan(value(metrics, "heldout_retrieval_ratio") or 0.0)


def totals(steps: list[int], metrics: Metrics) -> Iterator[float | None]:
    """The counter of steps after each report."""
    for step in steps:
        metrics.learner_figures({"step": step})
        yield value(metrics, "training_steps_total")


def test_steps_survive_a_restart(metrics: Metrics) -> None:
    """Steps count up from where the learner began, also over a rollback and a restart."""
    metrics.learner_ready(500)
    assert list(totals([510, 520, 505, 515], metrics)) == [10, 20, 20, 30]
    metrics.learner_ready(400)
    assert list(totals([400, 450], metrics)) == [30, 80]
    assert value(metrics, "training_step") == 450


def test_what_a_learner_did_before_is_not_counted(metrics: Metrics) -> None:
    """A daemon that starts beside an old learner shows no jump, in any of its totals."""
    metrics.learner_ready(500)
    metrics.learner_figures({"step": 500, "pairs": 9000, "bad_images": 3})
    assert value(metrics, "training_pairs_total") == 0
    metrics.learner_figures({"step": 510, "pairs": 9007, "bad_images": 4})
    assert value(metrics, "training_pairs_total") == 7
    assert value(metrics, "images_unreadable_total") == 1
    assert value(metrics, "training_steps_total") == 10
