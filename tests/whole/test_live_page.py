"""The live page in a real browser on a real daemon: what a person sees is what /statusz says."""

import base64
import http.client
import json
import re
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.whole.conftest import PATIENCE_MS

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

CONFIG = """
[pairing]
thin_rate_hz = 30.0
[learning]
batch = 8
min_pool_pairs = 16
queue = 96
publish_every_steps = 10
heldout_pairs = 8
max_reuse = 8.0
exclusion_s = 0.1
negatives = "all"
"""
THIN = "\u202f"


@pytest.fixture
def configured(tmp_path: Path) -> Callable[[str], Path]:
    """A configuration file with more lines."""

    def write(more: str) -> Path:
        path = tmp_path / f"page-{len(more)}.toml"
        path.write_text(CONFIG + more)
        return path

    return write


def status_of(address: str) -> dict[str, Any]:
    """/statusz."""
    with urllib.request.urlopen(f"http://{address}/statusz", timeout=30) as answer:
        status: dict[str, Any] = json.load(answer)
        return status


def at(values: Any, path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    for key in path.split("."):
        values = values.get(key) if isinstance(values, dict) else None
    return values


def written(value: Any, form: str | None) -> str:
    """A figure as the page writes it, by rules of its own."""
    if value is None:
        return "–"
    if form is None:
        return str(value)
    digits = {"count": 0, "fixed1": 1, "percent": 1, "ms": 1, "nats": 2}[form]
    unit = {"percent": f"{THIN}%", "ms": f"{THIN}ms", "nats": f"{THIN}nats"}.get(form, "")
    number = f"{(100 * value if form == 'percent' else value):,.{digits}f}"
    return number.replace(",", THIN).replace("-", "−") + unit


def shown(page: Page) -> dict[str, tuple[str, str | None]]:
    """Every figure on the page: path to text and form."""
    figures = page.eval_on_selector_all(
        "[data-path]",
        "all => all.map(e => [e.dataset.path, e.textContent, e.dataset.form ?? null])",
    )
    return {path: (text, form) for path, text, form in figures}


def differences(page: Page, status: dict[str, Any]) -> list[str]:
    """Where the page and /statusz say something different; what never rests is left out."""
    return [
        f"{path}: {text!r} for {at(status, path)!r}"
        for path, (text, form) in shown(page).items()
        if form not in ("duration", "bytes") and text != written(at(status, path), form)
    ]


def complaints(page: Page, status: dict[str, Any]) -> list[str]:
    """What of a status after some learning is missing on the page, or different there."""
    figures = status["learner"]["figures"]
    if not status["model_history"] or "mi_bound" not in figures:
        return ["nothing learned yet"]
    expected = {
        "#site option": len(status["sites"]),
        "#sites-table tbody tr": len(status["sites"]),
        "#models-table tbody tr": len(status["model_history"]),
        "#checks li": len(status["health"]["checks"]),
    }
    counts = {place: page.locator(place).count() for place in expected}
    found = [] if counts == expected else [f"rows {counts} for {expected}"]
    answer = status["sites"][page.locator("#site").input_value()]["answer"]
    texts = {"#result-seq": written(answer["result_seq"], "count")}
    texts["#answer-model"] = answer["model"] or "none yet"
    mi = f"{figures['mi_bound']:.2f} / {figures['mi_ceiling']:.2f} nats"
    texts["#now-mi"] = mi.replace("-", "−")
    for name, share in answer["probs"].items():
        texts[f"#bars [data-name={name}] .value"] = written(share, "percent")
    for place, text in texts.items():
        if (seen := page.locator(place).inner_text()) != text:
            found.append(f"{place}: {seen!r} for {text!r}")
    return found + differences(page, status)


def foreign_models(page: Page, status: dict[str, Any]) -> list[str]:
    """Rows of models that this daemon knows nothing of: those of the one before must be gone."""
    rows = page.locator("#models-table tbody tr").count()
    known = [event["event"] for event in status["model_history"]]
    return [] if rows == len(known) else [f"{rows} rows for {known}"]


def eventually(check: Callable[[], Any]) -> None:
    """Until `check` gives nothing to complain of."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while found := check():
        assert time.monotonic() < deadline, found
        time.sleep(0.5)


def test_figures_are_those_of_statusz_and_outlive_a_restart(
    start: Callable[..., Any], cruw: Path, configured: Any, visit: Callable[..., Page]
) -> None:
    """Every figure, the models, the sites; then the daemon goes, and comes back on its port."""
    daemon = start("--replay", cruw, "--labels", "0.5", "--config", configured(""))
    address = daemon.wait_for("ready")["http"]
    page = visit(address)
    daemon.wait_for("replay_ended")
    eventually(lambda: complaints(page, status_of(address)))
    assert len(shown(page)) > 20
    late = page.locator("#frame-facts")
    expect(late).to_contain_text("the last one")

    daemon.stop()
    expect(page.locator("#banner")).to_contain_text("No word from the daemon")
    expect(page.locator("#state")).to_have_text("no connection")
    again = start("--replay", cruw, "--loop", "--no-learn", "--http", address)
    again.wait_for("ready")
    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator("#models-table tbody")).to_contain_text("restored")
    expect(late).to_contain_text("Hz")
    eventually(lambda: foreign_models(page, status_of(address)))


def test_a_page_in_use(
    start: Callable[..., Any], cruw: Path, configured: Any, visit: Callable[..., Page]
) -> None:
    """By keyboard, on a phone, in the dark, without another host; and one viewer too many."""
    config = configured("[page]\nviewers = 1\n")
    daemon = start("--replay", cruw, "--loop", "--no-learn", "--config", config)
    address = daemon.wait_for("ready")["http"]
    page = visit(address, viewport={"width": 360, "height": 780}, color_scheme="dark")
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    page.reload()
    expect(page.locator("#radar-empty")).to_be_hidden()
    steer_by_keyboard(page)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        scroll = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert scroll == [360, 360]
    canvases = page.eval_on_selector_all("canvas", "all => all.map(e => [e.role, e.ariaLabel])")
    assert len(canvases) == 8
    assert all(role == "img" and label for role, label in canvases)

    second = visit(address)
    expect(second.locator("#banner")).to_contain_text(
        "The daemon refuses this page: 1 pages are open already"
    )
    page.close()
    expect(second.locator("#banner")).to_be_hidden()
    expect(second.locator("#state")).to_have_text(re.compile("ready"))
    assert asked == {address}


def steer_by_keyboard(page: Page) -> None:
    """Site, layout, view, theme and single cells, without a pointer."""
    expect(page.locator("#site option")).to_have_count(2)
    first = page.locator("#site").input_value()
    page.keyboard.press("]")
    expect(page.locator("#site")).not_to_have_value(first)
    page.keyboard.press("[")
    expect(page.locator("#site")).to_have_value(first)
    for key, name in (("v", "sector"), ("m", "motion")):
        page.keyboard.press(key)
        expect(page.locator(f"[data-value={name}]")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    expect(page.locator("#radar-empty")).to_be_hidden()
    for _ in range(30):
        if page.evaluate("document.activeElement.id") == "heatmap":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowUp")
    reading = re.compile(r"^[\d.]+ m, −?[\d.]+°: −?[\d.]+ dB$")
    expect(page.locator("#cursor")).to_have_text(reading)
    page.keyboard.press("]")
    page.reload()
    expect(page.locator("#site")).not_to_have_value(first)  # a reload keeps the site
    expect(page.locator("#site")).to_be_enabled()


@pytest.mark.parametrize("camera", [False, True])
def test_camera_images_only_when_turned_on(
    camera: bool, start: Callable[..., Any], cruw: Path, configured: Any,
    visit: Callable[..., Page],
) -> None:  # fmt: skip
    """Off, no byte of an image is to be had; on, it is shown, and the page says so."""
    config = configured(f"[page]\ncamera = {str(camera).lower()}\n")
    daemon = start("--replay", cruw, "--loop", "--no-learn", "--config", config)
    address = daemon.wait_for("ready")["http"]
    page = visit(address)
    expect(page.locator("#camera-state")).to_have_text("on" if camera else "off")
    expect(page.locator("#radar-empty")).to_be_hidden()
    figure, site = page.locator("#camera"), page.locator("#site").input_value()
    pieces = pieces_of(cruw)
    assert len(pieces) > 400
    if camera:
        assert found_in(page.request.get(f"http://{address}/camera?site={site}").body(), pieces)
        expect(figure).to_be_visible()
        expect(figure).to_contain_text("everyone who can open this page sees them")
        eventually(lambda: page.evaluate("document.querySelector('#camera img').naturalWidth") < 1)
        expect(page.locator("#camera-age")).to_have_text(re.compile(r"^Image of \d+\u202fs ago$"))
        return
    expect(figure).to_be_hidden()
    for path in ("/camera", f"/camera?site={site}", "/nowhere", *PATHS, f"/historyz?site={site}"):
        answer = page.request.get(f"http://{address}{path}")
        assert answer.status == (200 if path in PATHS or "history" in path else 404)
        assert not found_in(answer.body(), pieces)
        assert "image/" not in answer.headers["content-type"]
    assert b"event: frame" in (said := stream_of(address, site))
    assert not found_in(said, pieces)


PATHS = ("/", "/statusz", "/metrics", "/livez", "/readyz", "/historyz")
PIECE = 30
"""So many bytes in a row are another image's only by a copy."""


def pieces_of(data: Path) -> list[bytes]:
    """The middle of every image of a data set, and its base64 wherever a copy may begin."""
    pieces = []
    for path in data.rglob("*.jpg"):
        middle = path.read_bytes()[path.stat().st_size // 2 :][: PIECE + 2]
        pieces += [middle, *(base64.b64encode(middle[n : n + PIECE]) for n in range(3))]
    return pieces


def found_in(said: bytes, pieces: list[bytes]) -> list[bytes]:
    """Those of the pieces that were said; JSON escapes none of theirs but the slash."""
    return [piece for piece in pieces if piece in said.replace(b"\\/", b"/")]


def stream_of(address: str, site: str) -> bytes:
    """What an open page hears in its first seconds."""
    with urllib.request.urlopen(f"http://{address}/events?site={site}", timeout=30) as stream:
        said = b""
        while said.count(b"event: frame") < 10:
            more = stream.read1()
            assert more, said[-200:]
            said += more
        return said


def test_a_foreign_name_reads_no_page(start: Callable[..., Any], configured: Any) -> None:
    """Pages answer by address and by the names of page.hosts; metrics and health by any."""
    daemon = start("--no-learn", "--config", configured('[page]\nhosts = "radar.lab, box"\n'))
    address = daemon.wait_for("ready")["http"]

    def status(path: str, host: str) -> int:
        connection = http.client.HTTPConnection(address, timeout=30)
        connection.request("HEAD", path, headers={"Host": host})
        return connection.getresponse().status

    for path in ("/", "/statusz", "/historyz", "/events", "/camera"):
        assert status(path, "evil.example") == 403
    for path in ("/metrics", "/livez"):
        assert status(path, "evil.example") == 200
    for host in (address, "radar.lab:80", "box", "localhost", socket.gethostname()):
        assert status("/statusz", host) == 200
