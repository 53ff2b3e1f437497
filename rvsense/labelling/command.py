"""`rvsense label`: what was asked for, line by line what became of it, and the sum."""

import io
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rvsense.errors import UsageError
from rvsense.labelling import table
from rvsense.labelling.choosing import from_now, held_by, looks, of_table
from rvsense.labelling.scene import scene, spelled
from rvsense.labelling.sending import USED, Sender, Sent
from rvsense.labelling.table import Wanted
from rvsense.labelling.when import Frame, between, newest, stamp_ns, told
from rvsense.requesting import Keys, NoAnswerError, RefusedError, Requester

EARLIEST_NS, LATEST_NS = -(2**63), 2**63 - 1
LONGEST_S = 366 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The command line: what is labelled as what. Exactly one way of choosing frames is given."""

    words: tuple[str, ...] = ()
    site: str = ""
    stamp: str | None = None
    last: bool = False
    past_s: float | None = None
    csv: str | None = None
    start: str | None = None
    end: str | None = None
    for_s: float | None = None
    epoch: int | None = None
    purpose: str = "train"


def label(asked: Asked, *, endpoint: str, keys: Keys = None, dry: bool, as_json: bool) -> int:
    """Send the labels and print what became of them; 0 when none was lost, else 1.

    Raises:
        UsageError: what was asked for cannot be done; says what can.
        NoAnswerError: no daemon answers.
        RefusedError: the daemon does not take a label.
    """
    _check(asked)
    labels = None if asked.csv is None else _table(asked)
    uses: Counter[str] = Counter()
    with Requester(endpoint, keys) as requester:
        try:
            for sent in _sent(asked, labels, Sender(requester, dry=dry)):
                uses[sent.use] += 1
                print(json.dumps(sent.as_map()) if as_json else _line(sent), flush=True)
        except KeyboardInterrupt:
            print(file=sys.stderr)  # below the ^C
        except (NoAnswerError, RefusedError):
            if uses:
                print(_sum(uses), file=sys.stderr)
            raise
    print(_sum(uses), file=sys.stderr)
    return 0 if uses and uses.keys() <= USED else 1


def _sent(asked: Asked, labels: Sequence[Wanted] | None, sender: Sender) -> Iterator[Sent]:
    """What was asked for, done."""
    if labels is not None:
        return of_table(sender, labels, looks=looks(asked.for_s or 0.0))
    objects, site = scene(asked.words), sender.site(asked.site)
    if asked.stamp is not None:
        one = Wanted(site, stamp_ns(asked.stamp), asked.epoch, asked.purpose, objects)
        return of_table(sender, [one], looks=looks(0.0))
    if asked.for_s is not None:
        frames = looks(asked.for_s)
        return from_now(sender, site, objects, asked.purpose, looks=frames, epoch=asked.epoch)

    def choose(held: Sequence[Frame]) -> Sequence[Frame]:
        if asked.last or asked.past_s is not None:
            return newest(held, asked.past_s or 0.0, asked.epoch)
        start = EARLIEST_NS if asked.start is None else stamp_ns(asked.start)
        end = LATEST_NS if asked.end is None else stamp_ns(asked.end)
        return between(held, start, end, asked.epoch)

    return held_by(sender, site, objects, asked.purpose, choose)


def _check(asked: Asked) -> None:
    span = asked.start is not None or asked.end is not None
    ways = [asked.stamp is not None, asked.last, asked.past_s is not None, span]
    ways += [asked.csv is not None or asked.for_s is not None]
    if sum(ways) != 1:
        raise UsageError(
            "which frames? one of --last, --stamp T, --past SECONDS, --from T --to T, "
            "--for SECONDS, --csv FILE (which --for may be given with)"
        )
    for flag, seconds in (("--past", asked.past_s), ("--for", asked.for_s)):
        if seconds is not None and not 0 < seconds <= LONGEST_S:
            raise UsageError(f"{flag} {seconds:g}: seconds above 0, a year at most, expected")
    if asked.epoch is not None and not 0 <= asked.epoch <= LATEST_NS:
        raise UsageError(f"--epoch {asked.epoch}: a whole number from 0 to 2^63 - 1 expected")
    if asked.csv is not None and asked.words:
        raise UsageError("--csv says what was there; leave the objects out")
    if asked.csv is not None and asked.epoch is not None:
        raise UsageError("--csv says of which clock, in a column epoch; leave --epoch out")


def _table(asked: Asked) -> list[Wanted]:
    name = str(asked.csv)
    try:
        # utf-8-sig: spreadsheets put a mark before the first column's name.
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{name} is no text in UTF-8") from None
    labels = table.read(io.StringIO(text, newline=""), name, site=asked.site, purpose=asked.purpose)
    if not labels:
        raise UsageError(f"{name} holds no label, only its first line")
    return labels


def _line(sent: Sent) -> str:
    return f"{sent.site:<12} {told(sent.stamp_ns)}  {spelled(sent.objects):<28} {sent.use}"


def _sum(uses: Counter[str]) -> str:
    ends = [f"{count} {use.replace('_', ' ')}" for use, count in uses.most_common()]
    labels = "1 label" if uses.total() == 1 else f"{uses.total()} labels"
    return f"{labels}: {', '.join(ends) or 'no frame has come'}"
