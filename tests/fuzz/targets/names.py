"""Names: paths and look-alikes in them, and as many of them as one can think of."""

import argparse
import re
from random import Random

import msgpack

from rvsense.requesting import RefusedError, Requester
from tests.chaos.report import Figure, Report, at_most, exactly, told
from tests.fuzz import golden
from tests.fuzz.drive import BrokenError, Case, drive
from tests.fuzz.living import CONFIG, MAX_SITES, SITE, Living, living
from tests.fuzz.naming import Places, name
from tests.fuzz.odd import check as odd_fields
from tests.fuzz.targets.decoder import feed as decode

NAME = "names"
HELP = "names that lead elsewhere, and a hundred thousand sites: bounded in memory and metrics"
MESSAGES, QUICK = 100_000, 1_000

IN_PROCESS = 0.3
"""Of the messages, as many as are sites for the daemon are names for what is done with names."""
PULSE_EVERY, WEIGH_EVERY, ASK_EVERY = 100, 500, 200
REJECTED = "rvsense_messages_rejected_total"
MOST_LINES = 60


def run(options: argparse.Namespace) -> Report:
    """Names to what reads them; then sites to a daemon."""
    places = Places(options.work / "names")
    first = drive(options, NAME, name, places.use, share=IN_PROCESS)
    with living(options.work, CONFIG) as daemon:
        asked: list[str] = []

        def send(case: Case) -> str:
            daemon.send(case.parts)
            return "a site"

        def often(index: int) -> None:
            if index % PULSE_EVERY == 0:
                daemon.pulse()
            if index % WEIGH_EVERY == 0:
                daemon.weigh(index / options.messages)
            if index % ASK_EVERY == 0:
                asked.append(_label(daemon, index))

        daemon.pulse()
        second = drive(options, NAME, site, send, often=often)
        figures = _figures(daemon, second.tried, asked)
        figures += daemon.figures(options.messages)
    odd, taken = odd_fields()
    figures += [told("fields with a value that they cannot have", odd), told("… frames", taken)]
    return first.and_then(second).report(*figures, at_most("log", len(daemon.lines), MOST_LINES))


def site(rng: Random) -> Case:
    """A frame of a site that nobody has heard of."""
    site = f"{rng.choice(('a', 'b.', '-', '_'))}{rng.getrandbits(100):x}"
    kind = rng.choice(("label", "label", "camera frame", "radar frame"))
    values = golden.values(kind) | {"site": site}
    if kind == "radar frame":
        values |= {"shape": [1, 128, 128, 2], "dtype": "<f2"}
    payload = {"radar frame": [golden.heatmap(1, "<f2")], "camera frame": [golden.jpeg()]}
    case = Case(kind, [msgpack.packb(values), *payload.get(kind, [])])
    if decode(case) != kind.partition(" ")[0]:
        raise BrokenError("it is no frame")
    return case


def _label(daemon: Living, index: int) -> str:
    """The reply to a label of such a site by request: `ok`, or the code of the error."""
    with Requester(daemon.stage.endpoints["requests"]) as asking:
        try:
            asking.ask("label", site=f"asked{index}", stamp_ns=1, epoch=0, objects=[])
        except RefusedError as error:
            return error.code
    return "ok"


def _figures(daemon: Living, sent: int, asked: list[str]) -> list[Figure]:
    pulses, known = daemon.pulses, MAX_SITES - 1
    rejected = sent + len(asked) - known
    intake = daemon.taken(pulses + sent)
    status = daemon.stage.status()
    labels = re.findall(r'site="([^"]*)"', daemon.stage.page("/metrics"))
    by_request = asked.count("too_many_sites")
    return [
        exactly("sites of the daemon", len(status["pairing"]["sites"]), MAX_SITES),
        at_most("sites on its pages", len(status["sites"]), MAX_SITES),
        exactly("sites in its metrics", len(set(labels)), MAX_SITES),
        exactly("the first site is still one", str(SITE in labels), "True"),
        exactly(
            "frames rejected", intake["rejected"].get("too_many_sites", 0), rejected - by_request
        ),
        exactly(
            "frames rejected, by metrics",
            daemon.counted(REJECTED, "reason").get("too_many_sites", 0),
            rejected - by_request,
        ),
        exactly("labels refused by request", by_request, sum(reply != "ok" for reply in asked)),
    ]
