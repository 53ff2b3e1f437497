"""What an open page is told, as server-sent events; made while it looks and not otherwise.

status   once a second: the map of /statusz
recent   at the start: the site's answers of the last minute
frame    at most five times a second: the newest answered radar frame and its answer
history  every five seconds: the curves, as /historyz has them
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rvsense.daemon.history import History
from rvsense.daemon.http_message import Request, json_line
from rvsense.daemon.latest import Latest, Seen, answer_map
from rvsense.daemon.page_heatmap import VIEWS, picture
from rvsense.results import Result

HISTORY_EVERY_S = 5.0
RETRY_MS = 1000


class Events:
    """The stream of each page.

    Args:
        status: the newest map for /statusz and when it was made; None before the first.
    """

    def __init__(
        self, latest: Latest, history: History, status: Callable[[], Mapping[str, Any] | None]
    ) -> None:
        self._latest, self._history, self._status = latest, history, status

    def __call__(self, request: Request) -> Iterator[bytes]:
        """Pieces for one page: `site` (the first one, where it names none) and `view`."""
        view = request.query.get("view", VIEWS[0])
        view = view if view in VIEWS else VIEWS[0]
        shown: Seen | None = None
        told: Mapping[str, Any] | None = None
        recent_sent = False
        history_due_s = 0.0
        yield f"retry: {RETRY_MS}\n\n".encode()
        while True:
            news = []
            site = request.query.get("site") or min(list(self._latest.sites), default="")
            latest = self._latest.sites.get(site)
            if (status := self._status()) is not told and status is not None:
                told = status
                news.append(event("status", status))
            if latest is not None and not recent_sent:
                recent_sent = True
                recent = [brief(result) for result in latest.recent.copy()]
                news.append(event("recent", {"site": site, "answers": recent}))
            if latest is not None and latest.seen is not None and latest.seen is not shown:
                shown = latest.seen
                news.append(event("frame", frame(shown, view)))
            if (now_s := time.monotonic()) >= history_due_s:
                history_due_s = now_s + HISTORY_EVERY_S
                news.append(event("history", self._history.as_map(site)))
            yield b"".join(news)


def frame(seen: Seen, view: str) -> dict[str, Any]:
    """One radar frame and its answer."""
    picture_of = picture(seen.frame, view)
    return {"site": seen.result.site, "view": view, "answer": answer_map(seen.result)} | picture_of


def brief(result: Result) -> dict[str, Any]:
    """What the chart of probabilities needs of an answer."""
    return {
        "published_ns": result.published_ns,
        "probs": {name: round(share, 4) for name, share in result.probs.items()},
        "label": result.label,
        "abstain": result.abstain,
    }


def event(name: str, values: Any) -> bytes:
    """One event, its data on one line."""
    return f"event: {name}\ndata: {json_line(values)}\n\n".encode()
