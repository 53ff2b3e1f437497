"""The live page at `/`: one response that needs nothing else, put together from `web/` at start.

What may run in it is what was put there: its script and its style are allowed by their digests,
every other source is forbidden, and no host but this one can be reached from it.
"""

import base64
import hashlib
import json
from importlib import resources

import numpy as np

from rvsense.daemon.http_message import Request, Response, Route, json_response
from rvsense.daemon.http_stream import Stream
from rvsense.daemon.page_events import Events
from rvsense.daemon.parts import Parts
from rvsense.daemon.watch import Watch
from rvsense.frames import CLASSES
from rvsense.grids import azimuth_grid_rad, range_grid_m

SCRIPTS = (
    "figures.js", "colours.js", "charts.js", "axes.js", "radar.js", "answer.js", "learning.js",
    "tables.js", "link.js", "main.js",
)  # fmt: skip
"""In the order in which they build on each other; they share one scope."""


class Page:
    """The page and what it lives on.

    Args:
        watch: keeps the newest status.
    """

    def __init__(self, parts: Parts, watch: Watch) -> None:
        self._parts = parts
        self._html = page_response()
        self._events = Events(parts.latest, parts.history, lambda: watch.status)

    def routes(self) -> dict[str, Route]:
        """What HTTP answers; images only where the operator turned them on."""
        routes: dict[str, Route] = {
            "/": lambda _: self._html,
            "/historyz": lambda request: json_response(
                self._parts.history.as_map(request.query.get("site", ""))
            ),
        }
        if self._parts.config.page.camera:
            routes["/camera"] = self._camera
        return routes

    def streams(self) -> dict[str, Stream[Request]]:
        """What HTTP goes on answering."""
        return {"/events": self._events}

    def _camera(self, request: Request) -> Response:
        """The newest image of a site, as its camera sent it."""
        site = self._parts.latest.sites.get(request.query.get("site", ""))
        if site is None or site.image is None:
            return Response(b"no image of this site yet\n", status=404)
        if site.image.codec != "jpeg":
            return Response(b"this site sends raw images; only JPEG is shown\n", status=404)
        return Response(bytes(site.image.image), "image/jpeg")


def page_response() -> Response:
    """The page, its parts put in place, with the policy that lets them run and nothing else."""
    web = resources.files("rvsense.daemon") / "web"
    text = (web / "page.html").read_text("utf-8")
    style = "\n" + (web / "page.css").read_text("utf-8")
    scripts = "\n".join((web / name).read_text("utf-8") for name in SCRIPTS)
    script = f'\n(() => {{\n"use strict";\n{scripts}}})();\n'
    for place, content in (("STYLE", style), ("SCRIPT", script), ("GRID", _grid())):
        text = text.replace(f"%{place}%", content)
    policy = (
        "default-src 'none'; connect-src 'self'; img-src 'self' data:; "
        f"script-src {_digest(script)}; style-src {_digest(style)}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Response(
        text.encode(), "text/html; charset=utf-8", headers={"Content-Security-Policy": policy}
    )


def _grid() -> str:
    """The classes, and what the rows and columns of a heatmap stand for, as JSON."""
    return json.dumps(
        {
            "classes": CLASSES,
            "range_m": [round(float(value), 3) for value in range_grid_m()],
            "azimuth_deg": [round(float(value), 2) for value in np.degrees(azimuth_grid_rad())],
        }
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
