"""`rvsense skew`: do radar and camera of each site tell the same time?"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from rvsense.errors import UsageError
from rvsense.requesting import Keys, Requester
from rvsense.terminal.clockcheck import STREAMS, findings, of_another_day


def skew(
    endpoint: str, site: str, *, keys: Keys = None, every_s: float | None = None, as_json: bool
) -> int:
    """Print each site once, or every `every_s` seconds until Ctrl-C; 0 when all is well, else 1,
    as where no frame has come.

    Raises:
        UsageError: `site` is not there, or `every_s` is no time to wait.
        NoAnswerError: no daemon answers.
    """
    if every_s is not None and not 0.1 <= every_s <= 3600:
        raise UsageError(f"--every {every_s:g}: 0.1 to 3600 seconds expected")
    with Requester(endpoint, keys) as requester:
        while True:
            status = requester.ask("status")["status"]
            sites = judged(status, site, endpoint)
            print(json.dumps(sites) if as_json else "\n\n".join(_told(sites)), flush=True)
            if every_s is None:
                well = sites and not any(one["findings"] for one in sites.values())
                return 0 if well else 1
            time.sleep(every_s)


def judged(status: Mapping[str, Any], site: str, endpoint: str) -> dict[str, Any]:
    """Site → its offset, skew and clocks, and what was found about them.

    Raises:
        UsageError: `site` is not there; names those that are.
    """
    wanted = [name for name in sorted(status["sites"]) if site in ("", name)]
    if site and not wanted:
        there = ", ".join(sorted(status["sites"])) or "none, no frame has come yet"
        raise UsageError(f"there is no site {site!r}; sites of {endpoint}: {there}")
    replaying = (status["replay"] or {}).get("phase") == "playing"
    sites = {}
    for name in wanted:
        one, ledger = status["sites"][name], status["pairing"]["sites"][name]
        values = {key: value for key, value in one.items() if key not in ("answer", "answers_hz")}
        found = findings(one, ledger, replaying=replaying)
        sites[name] = values | {"findings": [asdict(finding) for finding in found]}
    return sites


def _told(sites: Mapping[str, Any]) -> Iterator[str]:
    if not sites:
        yield "no frame has come yet"
    for name, site in sites.items():
        yield "\n".join([name, *(f"  {line}" for line in _lines(site))])


def _lines(site: Mapping[str, Any]) -> Iterator[str]:
    offset = "not known" if site["offset_ms"] is None else f"{site['offset_ms']:+.2f} ms"
    tolerance = ms(site["tolerance_ms"])
    yield f"offset   {offset} (radar minus camera); tolerance {tolerance}"
    yield f"skew     p50 {ms(site['skew_left_p50_ms'])}, p99 {ms(site['skew_left_p99_ms'])} left"
    for stream in STREAMS:
        clock = site["clocks"].get(stream)
        if clock is None:
            continue
        rate_hz, age_s = site[f"{stream}_hz"] or 0.0, site[f"{stream}_age_s"]
        yield f"{stream:<8} {rate_hz:.1f} Hz, the last {age_s:.1f} s ago"
        if of_another_day(clock):
            yield "         stamps of another day: no delay, no drift"
            continue
        p50, p99 = ms(clock["delay_p50_ms"]), ms(clock["delay_p99_ms"])
        yield f"         arrives p50 {p50}, p99 {p99} after its stamp; drift {_drift(clock)}"
    if not site["findings"]:
        yield "in step"
    for finding in site["findings"]:
        yield f"! {finding['text']}"
        yield f"  → {finding['remedy']}"


def _drift(clock: Mapping[str, Any]) -> str:
    if clock["drift_ppm"] is None:
        return "not known within half a minute"
    return f"{clock['drift_ppm']:+.1f} ± {clock['drift_error_ppm']:.1f} ppm"


def ms(value: float | None) -> str:
    """Milliseconds."""
    return "–" if value is None else f"{value:.2f} ms"
