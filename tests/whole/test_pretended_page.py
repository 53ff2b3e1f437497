"""The live page in a real browser, told by a pretended daemon what real ones seldom say."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from rvsense.daemon.http import HttpServer
from rvsense.daemon.http_message import Request
from rvsense.daemon.latest import Seen
from rvsense.daemon.page import page_response
from rvsense.daemon.page_events import event, frame
from rvsense.frames import RadarFrame
from rvsense.results import Result
from tests.whole.test_live_page import status_of

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

HOSTILE = "<img src=x onerror=document.title='struck'>"
SITE = "__proto__"
START_NS = 1_800_000_000 * 10**9


class Pretended:
    """A daemon of nothing but its page: whoever opens it hears all of `said`, as it grows."""

    def __init__(self) -> None:
        self.said: list[bytes] = []
        self.server = HttpServer(
            "127.0.0.1:0",
            {"/": lambda _: page_response()},
            on_error=lambda path, error: pytest.fail(f"{path}: {error}"),
            streams={"/events": self._events},
        )
        self.server.start()

    def _events(self, request: Request) -> Iterator[bytes]:
        heard = 0
        while True:
            news = self.said[heard:]
            heard += len(news)
            yield b"".join(news)

    def answer(self, seq: int, published_ns: int) -> None:
        """A frame of SITE and its answer, another share each time."""
        share = 0.3 + seq % 7 / 10
        result = Result(
            site=SITE, seq=seq, stamp_ns=seq, epoch=0, ood_score=0.5, model=None, drift=False,
            received_ns=published_ns, published_ns=published_ns, result_seq=seq, label="car",
            abstain=None, probs={"car": share, "empty": 1 - share},
        )  # fmt: skip
        heatmap = np.ones((1, 128, 128, 2), np.float32)
        radar = RadarFrame(site=SITE, seq=seq, stamp_ns=seq, heatmap=heatmap)
        self.said.append(event("frame", frame(Seen(result, radar), "magnitude")))


@pytest.fixture
def pretended() -> Iterator[Pretended]:
    """One that has said nothing yet."""
    pretended = Pretended()
    yield pretended
    pretended.server.close()


@pytest.fixture
def status(start: Callable[..., Any]) -> dict[str, Any]:
    """What a real daemon says, of one site whose name every object has."""
    status = status_of(start("--no-learn").wait_for("ready")["http"])
    site = dict.fromkeys(("answer", "skew_p50_ms", "skew_p99_ms", "offset_ms", "tolerance_ms"))
    rates = {"radar_hz": 30.0, "camera_hz": 30.0, "radar_age_s": 0.1, "camera_age_s": 0.1}
    return status | {"sites": {SITE: site | rates}}


def test_hostile_text_stays_text(
    status: dict[str, Any], pretended: Pretended, visit: Callable[..., Page]
) -> None:
    """What a device, a learner or an operator wrote is shown as it stands, and makes nothing."""
    refused = {"event": "refused", "at_s": 1.0, "model": HOSTILE, "reason": HOSTILE}
    check = {"name": HOSTILE, "ok": False, "reason": HOSTILE, "gate": "ready"}
    said = status | {
        "version": HOSTILE,
        "model_history": [refused | {"detail": HOSTILE}],
        "recording": {"since": HOSTILE, "by": HOSTILE, "bytes": 3, "lost": 0},
        "health": {"live": True, "ready": True, "checks": [check]},
        "sites": status["sites"] | {HOSTILE: status["sites"][SITE]},
        "serving": status["serving"] | {"dropped": {HOSTILE: 3}},
    }
    pretended.said.append(event("status", said))
    pretended.answer(1, START_NS)
    page = visit(pretended.server.address)
    for place in ("#models-table", "#checks", "#recording", "#sites-table", "#drops", "#state"):
        expect(page.locator(place)).to_contain_text(HOSTILE)
    page.locator("#site").select_option(HOSTILE)
    expect(page.locator("#radar-empty")).to_contain_text(HOSTILE)
    page.locator("#site").select_option(SITE)
    expect(page.locator("#result-seq")).to_have_text("1")
    assert page.locator("img").count() == page.locator("#camera img").count() == 1
    assert "struck" not in page.title()


def test_a_clock_set_back_stops_no_chart(
    status: dict[str, Any], pretended: Pretended, visit: Callable[..., Page]
) -> None:
    """An hour back, and the probabilities go on being drawn."""
    pretended.said.append(event("status", status))
    page = visit(pretended.server.address)
    chart = "document.querySelector('#probabilities').toDataURL()"
    pictures = []
    for seq in range(6):
        pretended.answer(seq, START_NS + (seq - 3600 * (seq > 2)) * 10**9)
        expect(page.locator("#result-seq")).to_have_text(str(seq))
        pictures.append(page.evaluate(chart))
    assert len(set(pictures[3:])) == 3


def test_a_camera_that_stands_still_looks_old(
    status: dict[str, Any], pretended: Pretended, visit: Callable[..., Page]
) -> None:
    """The last image says how old it is, and is greyed."""
    page_of = status["page"] | {"camera": True}
    site = status["sites"][SITE]
    page = visit(pretended.server.address)
    for age_s, old in ((0.1, ""), (90.0, "old")):
        sites = {SITE: site | {"camera_age_s": age_s}}
        pretended.said.append(event("status", status | {"page": page_of, "sites": sites}))
        expect(page.locator("#camera-age")).to_contain_text("9" if old else "0")
        expect(page.locator("#camera")).to_have_class(old)


def test_an_operators_order_is_shown(
    status: dict[str, Any], pretended: Pretended, visit: Callable[..., Page]
) -> None:
    """A pinned model, and how many newer ones wait for it."""
    model = {"id": "step-7", "age_s": 3.0, "pinned": True, "held": 2}
    pretended.said.append(event("status", status | {"model": model}))
    page = visit(pretended.server.address)
    expect(page.locator("#model-hint")).to_have_text(
        "step-7 answers, 3\u202fs old; pinned; 2 held back since the start."
    )


def test_below_nothing_has_a_minus_and_not_a_hyphen(
    status: dict[str, Any], pretended: Pretended, visit: Callable[..., Page]
) -> None:
    """An untrained encoder's bound, as in every other figure and on the axes."""
    keys = ("at_s", "step", "mi_bound", "mi_ceiling", "top1", "retrieval", "accuracy",
            "head_accuracy")  # fmt: skip
    curves = {key: [1.0] for key in keys} | {"mi_bound": [-1234.5]}
    pretended.said.append(event("status", status))
    pretended.said.append(event("history", {"curves": curves}))
    page = visit(pretended.server.address)
    expect(page.locator("#now-mi")).to_have_text("−1\u202f234.50 / 1.00 nats")


def test_a_model_that_came_back_is_marked_once(
    status: dict[str, Any], pretended: Pretended, visit: Callable[..., Page]
) -> None:
    """Of the rows of one model the newest tells that it serves."""
    event_of = {"step": 7, "labels": 0, "held_out_accuracy": None}
    history = [
        event_of | {"event": kind, "at_s": at_s, "model": model}
        for at_s, (kind, model) in enumerate(
            (("swapped", "a"), ("rolled_back", "b"), ("swapped", "a")), start=1
        )
    ]
    model = {"id": "a", "age_s": 3.0, "pinned": False, "held": 0}
    pretended.said.append(event("status", status | {"model": model, "model_history": history}))
    rows = visit(pretended.server.address).locator("#models-table tbody tr")
    expect(rows).to_have_count(3)
    assert [row.get_attribute("aria-current") for row in rows.all()] == ["true", None, None]


@pytest.mark.parametrize(("phase", "alarm"), [("playing", False), ("ended", True)])
def test_a_still_site_is_no_alarm_while_a_replay_plays(
    phase: str, alarm: bool, status: dict[str, Any], pretended: Pretended,
    visit: Callable[..., Page],
) -> None:  # fmt: skip
    """Its sites come in turn; how old the frame is is told all the same."""
    site = status["sites"][SITE] | {"answer": {"label": "car"}, "radar_age_s": 60.0}
    said = status | {"sites": {SITE: site}, "replay": {"phase": phase}}
    pretended.said.append(event("status", said))
    pretended.answer(1, START_NS)
    facts = visit(pretended.server.address).locator("#frame-facts")
    expect(facts).to_contain_text("the last one")
    assert ("late" in (facts.get_attribute("class") or "")) is alarm


def test_why_a_model_was_refused_can_be_read_on_a_phone(
    status: dict[str, Any], pretended: Pretended, visit: Callable[..., Page]
) -> None:
    """The reason has the room of the figures that such a model has none of."""
    why = "right on 2 of 10 held-out frames, the serving model on 5; margin 0.05"
    refused = {"event": "refused", "at_s": 1.0, "model": "a", "reason": "worse", "detail": why}
    pretended.said.append(event("status", status | {"model_history": [refused]}))
    page = visit(pretended.server.address, viewport={"width": 360, "height": 780})
    reason = page.locator("#models-table td.reason")
    expect(reason).to_contain_text(why)
    box = reason.bounding_box()
    assert box is not None
    assert box["width"] > box["height"]
