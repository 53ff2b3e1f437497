"""The page as a response, and the events that it lives on; what a browser makes of it is elsewhere.

(tests/whole/test_live_page.py)
"""

import base64
import hashlib
import json
import math
import re
from typing import Any

import numpy as np
import pytest

from rvsense.daemon.history import History
from rvsense.daemon.http_message import Request
from rvsense.daemon.latest import Latest
from rvsense.daemon.page import SCRIPTS, page_response
from rvsense.daemon.page_events import Events
from rvsense.daemon.page_heatmap import STEP_DB, VIEWS, picture
from rvsense.frames import RadarFrame
from rvsense.grids import azimuth_grid_rad, range_grid_m
from rvsense.results import Result


@pytest.fixture
def page() -> tuple[str, str]:
    """The page's text and its policy."""
    response = page_response()
    return response.body.decode(), response.headers["Content-Security-Policy"]


def test_the_page_is_one_small_response(page: tuple[str, str]) -> None:
    """Every part is in its place, in less than 120 KB."""
    text, _ = page
    assert re.findall(r"%[A-Z]+%", text) == []
    assert len(text.encode()) < 120_000
    assert text.count("<script") == 2
    assert "class RadarPicture" in text
    assert len(SCRIPTS) == len(set(SCRIPTS))


def test_the_page_asks_nobody_else(page: tuple[str, str]) -> None:
    """No address of another host stands in it but the name of the SVG vocabulary."""
    text, policy = page
    addresses = set(re.findall(r"""(?:https?:)?//[a-z0-9][^\s"'`<>)]*""", text.replace("// ", "")))
    assert {address for address in addresses if "www.w3.org" not in address} == set()
    assert "http" not in policy
    assert policy.startswith("default-src 'none'; connect-src 'self'; img-src 'self' data:; ")


def test_the_policy_names_what_is_in_it(page: tuple[str, str]) -> None:
    """Script and style are allowed by their digests: a byte more and neither would run."""
    text, policy = page
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        content = re.findall(f"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL)
        assert len(content) == 1
        digest = base64.b64encode(hashlib.sha256(content[0].encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}';" in policy
    assert "unsafe" not in policy
    assert re.findall(r"\son[a-z]+=|\sstyle=", text) == []


def test_the_axes_are_the_radars(page: tuple[str, str]) -> None:
    """Range and azimuth of every cell are those of rvsense.grids, ends included."""
    data = re.search(r'id="grid">(.*?)</script>', page[0])
    assert data is not None
    grid = json.loads(data[1])
    assert np.allclose(grid["range_m"], range_grid_m(), atol=1e-3)
    assert np.allclose(grid["azimuth_deg"], np.degrees(azimuth_grid_rad()), atol=1e-2)
    assert grid["azimuth_deg"][0] == -90.0


def frame_of(values: Any, seq: int = 0) -> RadarFrame:
    """A frame of site north whose chirps are these (chirps, 128, 128) complex values."""
    parts = np.stack([np.real(values), np.imag(values)], axis=-1).astype(np.float32)
    return RadarFrame(site="north", seq=seq, stamp_ns=seq, heatmap=parts)


def decibels(shown: dict[str, Any]) -> Any:
    """(128, 128) decibels as the page reads them."""
    cells = np.frombuffer(base64.b64decode(shown["cells"]), np.uint8).reshape(128, 128)
    return shown["top_db"] - (255.0 - cells) * shown["step_db"]


def test_cells_are_decibels(make_heatmap: Any) -> None:
    """Each cell is right to a quarter of a decibel, from noise to the strongest."""
    heatmap = make_heatmap(1, 4)
    frame = RadarFrame(site="north", seq=0, stamp_ns=0, heatmap=heatmap)
    magnitude = np.hypot(heatmap[..., 0], heatmap[..., 1]).mean(axis=0)
    error = decibels(picture(frame, "magnitude")) - 20 * np.log10(magnitude)
    assert float(np.abs(error).max()) < STEP_DB / 2 + 0.01


def test_motion_shows_what_moved() -> None:
    """A strong target that stands still is gone, a weak one that moves is not."""
    values = np.full((4, 128, 128), 1e-4 + 0j)
    values[:, 20, 30] = 1.0
    values[:, 90, 100] = 0.01 * np.exp(1j * np.arange(4))
    still, moved = (decibels(picture(frame_of(values), view)) for view in VIEWS)
    assert np.unravel_index(still.argmax(), still.shape) == (20, 30)
    assert np.unravel_index(moved.argmax(), moved.shape) == (90, 100)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("chirps", [1, 4])
@pytest.mark.parametrize("value", [0.0, 1e20, 3e38])
@pytest.mark.filterwarnings("error")
def test_silence_is_a_picture_too(view: str, chirps: int, value: float) -> None:
    """All zeros, half floats, a single chirp and the largest values make finite cells."""
    heatmap = np.zeros((chirps, 128, 128, 2), np.float16 if value == 0 else np.float32)
    heatmap[0] = value
    heatmap[-1, ::2] = -value
    shown = picture(RadarFrame(site="n", seq=0, stamp_ns=0, heatmap=heatmap), view)
    assert np.isfinite(decibels(shown)).all()
    json.dumps(shown, allow_nan=False)


def result(frame: RadarFrame, **changes: Any) -> Result:
    """An answer to it."""
    values: dict[str, Any] = {"label": "car", "abstain": None, "probs": {"car": 0.9}}
    return Result(
        site=frame.site, seq=frame.seq, stamp_ns=frame.stamp_ns, epoch=0, ood_score=math.nan,
        model=None, received_ns=0, published_ns=(frame.seq + 1) * 10**9, result_seq=frame.seq,
        **(values | changes),
    )  # fmt: skip


class Told:
    """The events of one page, as it would read them."""

    def __init__(self, latest: Latest, status: list[Any], **query: str) -> None:
        self.latest = latest
        self._stream = Events(latest, History(), lambda: status[-1])(Request(query=query))
        assert next(self._stream).startswith(b"retry: ")

    def next(self) -> dict[str, Any]:
        """Name to data of what is new."""
        said = next(self._stream).decode()
        return {
            name: json.loads(data, parse_constant=pytest.fail)
            for name, data in re.findall(r"event: (\w+)\ndata: (.*)\n\n", said)
        }

    def answer(self, frame: RadarFrame) -> None:
        """The daemon answers."""
        self.latest.answered(result(frame), frame, float(frame.seq))


def test_only_what_is_new_is_told() -> None:
    """Status when there is another, a frame when one was answered, nothing when nothing is."""
    statuses: list[Any] = [None]
    told = Told(Latest(keep_images=False), statuses)
    assert set(told.next()) == {"history"}
    assert told.next() == {}
    statuses.append({"loss": math.nan})
    assert told.next() == {"status": {"loss": None}}
    told.answer(frame_of(np.ones((1, 128, 128))))
    news = told.next()
    assert set(news) == {"recent", "frame"}
    assert news["frame"]["site"] == "north"
    assert news["frame"]["answer"]["ood_score"] is None
    assert [item["probs"] for item in news["recent"]["answers"]] == [{"car": 0.9}]
    assert told.next() == {}
    told.answer(frame_of(np.ones((1, 128, 128)), seq=1))
    assert set(told.next()) == {"frame"}


def test_frames_in_between_are_passed_over() -> None:
    """Whoever is slow sees the newest frame, not every one."""
    told = Told(Latest(keep_images=False), [None])
    for seq in range(40):
        told.answer(frame_of(np.ones((1, 128, 128)), seq))
    assert told.next()["frame"]["answer"]["seq"] == 39


def test_a_page_is_told_of_its_site_alone() -> None:
    """Another site's frames are no news; one that nobody knows has none, and may yet come."""
    told = Told(Latest(keep_images=False), [None], site="south", view="nonsense")
    told.next()
    told.answer(frame_of(np.ones((1, 128, 128))))
    assert told.next() == {}
    south = RadarFrame(site="south", seq=4, stamp_ns=4, heatmap=np.ones((1, 128, 128, 2), "<f4"))
    told.answer(south)
    assert told.next()["frame"]["view"] == "magnitude"


def test_a_picture_is_small() -> None:
    """A frame event, answer and all, is less than 24 KB."""
    rng = np.random.default_rng(0)
    told = Told(Latest(keep_images=False), [None])
    told.answer(frame_of(rng.standard_normal((4, 128, 128))))
    assert len(json.dumps(told.next()["frame"])) < 24_000
