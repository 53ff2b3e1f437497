"""`rvsense top`: a daemon at a glance, again and again."""

import json
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console, ConsoleDimensions, Group, RenderableType
from rich.live import Live
from rich.styled import Styled
from rich.text import Text

from rvsense.errors import UsageError
from rvsense.requesting import DEFAULT_TIMEOUT_S, Keys, NoAnswerError, Requester
from rvsense.terminal.keyboard import END, keys
from rvsense.terminal.screen import screen
from rvsense.terminal.trend import Trend

WAIT_S = 1.0
"""How long one answer may take before the daemon is said to be away, and a key is heeded."""
QUIT = {"q", "Q", END}


def top(endpoint: str, *, credentials: Keys, every_s: float, once: bool, as_json: bool) -> int:
    """Show the daemon until `q` or Ctrl-C; once, where there is no terminal to show it on.

    Raises:
        UsageError: `every_s` is no time to wait.
        NoAnswerError: no daemon answers a single look; while watching, that is shown instead.
    """
    if not 0.1 <= every_s <= 3600:
        raise UsageError(f"--every {every_s:g}: 0.1 to 3600 seconds expected")
    console = Console(highlight=False)
    with Requester(endpoint, credentials) as requester:
        if as_json:
            print(json.dumps(_status(requester)))
        elif once or not console.is_terminal:
            trend, status = Trend(), _status(requester)
            trend.add(status)
            console.print(page(endpoint, status, trend, size=console.size))
        else:
            _watch(requester, console, every_s)
    return 0


def page(
    endpoint: str,
    status: Mapping[str, Any] | None,
    trend: Trend,
    *,
    away_s: float | None = None,
    size: ConsoleDimensions,
) -> RenderableType:
    """The last that is known, below a word about a daemon that has been away for `away_s`."""
    parts: list[RenderableType] = []
    if away_s is not None:
        silent = f"no answer from {endpoint} for {away_s:.0f} s; asking on, q quits"
        parts.append(Text(silent, "bold red"))
    if status is not None:
        left = size.height - len(parts)
        seen = screen(status, trend, endpoint=endpoint, lines=left, columns=size.width)
        parts.append(seen if away_s is None else Styled(seen, "dim"))
    elif away_s is not None:
        parts.append(Text("Is a daemon running there? `rvsense daemon` starts one."))
    return Group(*parts)


def _status(requester: Requester, timeout_s: float = DEFAULT_TIMEOUT_S) -> dict[str, Any]:
    status: dict[str, Any] = requester.ask("status", timeout_s=timeout_s)["status"]
    return status


def _watch(requester: Requester, console: Console, every_s: float) -> None:
    trend, status, heard_s = Trend(), None, time.monotonic()
    asking = Text(f"asking {requester.endpoint} … (q quits)")
    try:
        with (
            keys() as pressed,
            Live(asking, console=console, screen=True, auto_refresh=False) as live,
        ):
            live.refresh()
            while True:
                began_s = time.monotonic()
                away_s = None
                try:
                    status = _status(requester, WAIT_S)
                    heard_s = time.monotonic()
                    trend.add(status)
                except NoAnswerError:
                    away_s = time.monotonic() - heard_s
                    trend.away()
                endpoint = requester.endpoint
                shown = page(endpoint, status, trend, away_s=away_s, size=console.size)
                live.update(shown, refresh=True)
                left_s = max(0.0, every_s - (time.monotonic() - began_s))
                if QUIT.intersection(pressed(left_s)):
                    return
    except KeyboardInterrupt:
        return
