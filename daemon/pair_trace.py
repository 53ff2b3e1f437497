"""`rvsense pair TRACE`: the pairing core alone over a trace, to see why frames were not paired.

A trace has one JSON object a line, in arrival order: {"kind": "radar" or "camera", "site": text,
"seq": integer, "stamp_ns": integer, "epoch": integer}; site and epoch may be left out.

Each pair is printed as it is decided: {"pair": [radar_seq, camera_seq], "skew_ns": raw radar minus
camera stamp}. "site" is added from the second site on that the trace brings (lines without it are
of the first), "epoch" where it is not 0. The last line holds the ledger of each site, its offset
and tolerance at the end (null where never known), the pairs and the rejected lines.
"""

import json
import sys
from collections.abc import Iterable, Iterator

from rvsense.config import Pairing
from rvsense.daemon.decisions import Decision, Dropped, Frame, Stream
from rvsense.daemon.pairing import Pairer
from rvsense.errors import UsageError

DEFAULT_SITE = "site"
EXPECTED = '{"kind": "radar"|"camera", "site": "a", "seq": 0, "stamp_ns": 0, "epoch": 0}'


def main(trace: str, settings: Pairing) -> int:
    """Pair a trace (a file, or - for standard input) and print what came of it; exit status 0.

    Raises:
        UsageError: the file cannot be read, or no line of it is a frame.
    """
    if trace == "-":
        return run("standard input", sys.stdin, settings)
    try:
        with open(trace, encoding="utf-8", errors="replace") as lines:
            return run(trace, lines, settings)
    except OSError as error:
        raise UsageError(
            f"cannot read the trace {trace}: {error.strerror}; give a file of JSON lines, "
            "or - to read them from standard input"
        ) from error


def run(name: str, lines: Iterable[str], settings: Pairing) -> int:
    """Pair these lines, of what `name` calls them, and print what came of it; exit status 0.

    Raises:
        UsageError: no line of it is a frame.
    """
    pairers: dict[str, Pairer] = {}
    rejected = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            site, frame = parse_line(line)
        except ValueError as error:
            rejected += 1
            print(f"{name}:{number}: {error}; expected {EXPECTED}", file=sys.stderr)
            continue
        pairer = pairers.setdefault(site, Pairer(settings))
        _print_pairs(pairer.push(frame), site if len(pairers) > 1 else None)
    if not pairers:
        raise UsageError(f"{name}: no line is a frame; expected JSON lines like {EXPECTED}")
    for site, pairer in pairers.items():
        _print_pairs(pairer.flush(), site if len(pairers) > 1 else None)
    print(json.dumps(summary(pairers, rejected)), flush=True)
    return 0


def parse_line(line: str) -> tuple[str, Frame]:
    """(site, frame) of one line of a trace; ValueError says what is wrong with it."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    kind, site = record.get("kind"), record.get("site", DEFAULT_SITE)
    if kind not in ("radar", "camera"):
        raise ValueError(f"kind is {_shown(record, 'kind')}, not radar or camera")
    if not isinstance(site, str) or not site:
        raise ValueError(f"site is {_shown(record, 'site')}, not a text")
    seq = _integer(record, "seq")
    epoch = _integer(record, "epoch") if "epoch" in record else 0
    stream: Stream = "radar" if kind == "radar" else "camera"
    return site, Frame(stream, seq, _integer(record, "stamp_ns"), epoch)


def summary(pairers: dict[str, Pairer], rejected: int) -> dict[str, object]:
    """The last line: by site the ledger, the offset and the tolerance in nanoseconds."""
    ledgers = {site: pairer.ledger() for site, pairer in pairers.items()}
    return {
        "ledger": {site: ledger.as_dict() for site, ledger in ledgers.items()},
        "offset_ns": {site: pairer.offset_ns for site, pairer in pairers.items()},
        "tolerance_ns": {site: pairer.tolerance_ns for site, pairer in pairers.items()},
        "pairs": sum(ledger.radar.paired for ledger in ledgers.values()),
        "rejected": rejected,
    }


def _print_pairs(decisions: Iterable[Decision], site: str | None) -> None:
    for line in _pair_lines(decisions, site):
        print(json.dumps(line), flush=True)


def _pair_lines(decisions: Iterable[Decision], site: str | None) -> Iterator[dict[str, object]]:
    for decision in decisions:
        if isinstance(decision, Dropped):
            continue
        radar, camera = decision.radar, decision.camera
        line: dict[str, object] = {"pair": [radar.seq, camera.seq], "skew_ns": decision.skew_ns}
        if site is not None:
            line["site"] = site
        if radar.epoch:
            line["epoch"] = radar.epoch
        yield line


def _integer(record: dict[str, object], key: str) -> int:
    """A whole number as the wire allows it: 64 bits, seq and epoch not negative."""
    value = record.get(key)
    least = -(2**63) if key == "stamp_ns" else 0
    if type(value) is not int or not least <= value < 2**63:
        raise ValueError(f"{key} is {_shown(record, key)}, not a whole number of 64 bits")
    return value


def _shown(record: dict[str, object], key: str) -> str:
    """The value as it stood in the trace, shortened."""
    return json.dumps(record[key])[:40] if key in record else "missing"
