"""What the clocks of a site's two streams say, in words with a remedy. Pure.

Rules, over one site of `/statusz` (`sites`); all that apply are told:
1. A stream that is missing or silent is told first: without it there is nothing to compare.
2. Stamps a day from ours, or a drift that no crystal has, are of no clock of this day: a replay,
   or a device that counts from its start. Then delays and drifts say nothing, and are not judged.
   A replay that the daemon itself plays is as it should be, and its sites come in turn.
3. Stamps ahead of ours, or far behind, are of a clock that is not synchronised with ours.
4. A drift is told where it is surely one and moves the offset.
5. Without an offset, and with skews near the tolerance, pairs are few or wrong. An offset is found
   up to a whole period only: one that the arrivals contradict by more is told.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

SILENT_S = 5.0
ANOTHER_DAY_MS = 86_400e3
NO_CRYSTAL_PPM = 1_000.0
"""Crystals are off by some tens of millionths."""
AHEAD_MS = 5.0
BEHIND_MS = 1_000.0
DRIFT_PPM = 10.0
SURE_ERRORS = 4.0
NEAR_TOLERANCE = 0.5
ALIAS_TOLERANCES, ALIAS_MS = 3.0, 100.0
"""One and a half periods; links may differ by so much."""
FEWEST_PAIRED = 0.8

STREAMS = ("radar", "camera")
SYNCHRONISE = "synchronise both machines: PTP on one network, else chrony; see docs/devices.md"
ARRIVAL = "set the device's clock, or stamp by arrival (`--stamp-source arrival`)"

Code = Literal[
    "missing",
    "silent",
    "another_day",
    "ahead",
    "behind",
    "drift",
    "alias",
    "no_offset",
    "skew",
    "unpaired",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    code: Code
    text: str
    remedy: str


def findings(
    site: Mapping[str, Any], ledger: Mapping[str, Any], *, replaying: bool = False
) -> list[Finding]:
    """What is wrong with a site, worst first; empty when its streams are in step.

    Args:
        site: its entry of `sites` in `/statusz`.
        ledger: its entry of `pairing.sites`.
        replaying: whether the daemon plays its frames itself.
    """
    if replaying:
        return list(_pairs(site, ledger))
    gone = list(_gone(site))
    odd = list(_another_day(site))
    clocks = [] if odd else [*_apart(site), *_drifting(site), *_alias(site)]
    pairs = [] if gone else list(_pairs(site, ledger))
    return [*gone, *odd, *clocks, *pairs]


def _gone(site: Mapping[str, Any]) -> Iterator[Finding]:
    for stream in STREAMS:
        age_s = site[f"{stream}_age_s"]
        if age_s is None:
            yield Finding(
                "missing",
                f"no {stream} frame has come",
                f"start the {stream}; it sends to the intake endpoint under this site's name",
            )
        elif age_s > SILENT_S:
            remedy = f"is the {stream} running, and its network up?"
            yield Finding("silent", f"the {stream} has been silent for {age_s:.0f} s", remedy)


def _another_day(site: Mapping[str, Any]) -> Iterator[Finding]:
    streams = [name for name, clock in site["clocks"].items() if of_another_day(clock)]
    if streams:
        whose = " and ".join(f"the {stream}'s" for stream in streams)
        yield Finding(
            "another_day",
            f"{whose} stamps are of no clock of this day",
            f"a replay: as it should be. A device: {ARRIVAL}",
        )


def of_another_day(clock: Mapping[str, Any]) -> bool:
    """Whether a stream's stamps cannot be of this day's time."""
    delay_ms, drift_ppm = (float(clock[key] or 0.0) for key in ("delay_p50_ms", "drift_ppm"))
    return abs(delay_ms) > ANOTHER_DAY_MS or abs(drift_ppm) > NO_CRYSTAL_PPM


def _apart(site: Mapping[str, Any]) -> Iterator[Finding]:
    for stream, clock in site["clocks"].items():
        delay_ms = clock["delay_p50_ms"]
        if delay_ms is None:
            continue
        if delay_ms < -AHEAD_MS:
            text = f"the {stream}'s clock is at least {-delay_ms:.0f} ms ahead of this machine's"
            yield Finding("ahead", text, SYNCHRONISE)
        elif delay_ms > BEHIND_MS:
            yield Finding(
                "behind",
                f"{stream} frames come {delay_ms / 1e3:.1f} s after their stamps",
                f"a full queue or a slow link, if it grows; else {SYNCHRONISE}",
            )


def _drifting(site: Mapping[str, Any]) -> Iterator[Finding]:
    for stream, clock in site["clocks"].items():
        drift_ppm, error_ppm = clock["drift_ppm"], clock["drift_error_ppm"]
        if drift_ppm is None or abs(drift_ppm) < max(DRIFT_PPM, SURE_ERRORS * error_ppm):
            continue
        fast = "fast" if drift_ppm > 0 else "slow"
        a_minute_ms = abs(drift_ppm) * 60 / 1e3
        yield Finding(
            "drift",
            f"the {stream}'s clock runs {abs(drift_ppm):.0f} ppm {fast}: "
            f"{a_minute_ms:.1f} ms a minute",
            f"pairing follows it, but {SYNCHRONISE}",
        )


def _alias(site: Mapping[str, Any]) -> Iterator[Finding]:
    delays_ms = [site["clocks"].get(stream, {}).get("delay_p50_ms") for stream in STREAMS]
    offset_ms, tolerance_ms = site["offset_ms"], site["tolerance_ms"]
    if None in (*delays_ms, offset_ms, tolerance_ms):
        return
    radar_ms, camera_ms = delays_ms
    arrived_ms = camera_ms - radar_ms
    if abs(arrived_ms - offset_ms) > max(ALIAS_TOLERANCES * tolerance_ms, ALIAS_MS):
        yield Finding(
            "alias",
            f"by their arrival the offset is about {arrived_ms:+.0f} ms, by their stamps "
            f"{offset_ms:+.0f} ms: pairs may be whole periods off",
            f"if both links are equally fast, set pairing.offset_s; better, {SYNCHRONISE}",
        )


def _pairs(site: Mapping[str, Any], ledger: Mapping[str, Any]) -> Iterator[Finding]:
    if site["offset_ms"] is None:
        yield Finding(
            "no_offset",
            "no constant offset between radar and camera has been found",
            "it needs some frames of both; rates that are no multiples of each other have none: "
            "trigger both together, or set pairing.offset_s",
        )
    left_ms, tolerance_ms = site["skew_left_p99_ms"], site["tolerance_ms"]
    if left_ms is not None and tolerance_ms and left_ms > NEAR_TOLERANCE * tolerance_ms:
        yield Finding(
            "skew",
            f"pairs are up to {left_ms:.1f} ms apart; {tolerance_ms:.1f} ms is the tolerance",
            "trigger both devices together, or stamp where a frame is taken, not where it is read",
        )
    share = paired_share(ledger)
    if share is not None and share < FEWEST_PAIRED:
        yield Finding(
            "unpaired",
            f"only {100 * share:.0f} % of the slower stream's frames found a partner",
            "see the drops by reason in /statusz, and `rvsense pair` on a trace",
        )


def paired_share(ledger: Mapping[str, Any]) -> float | None:
    """Of the frames decided so far in the stream that has fewer; None before any."""
    decided = [
        ledger[stream]["paired"] + sum(ledger[stream]["dropped"].values()) for stream in STREAMS
    ]
    return ledger["radar"]["paired"] / min(decided) if min(decided) else None
