"""What to run next, by what was found. Pure."""

from collections.abc import Sequence
from shlex import quote
from textwrap import shorten

from rvsense.doctor.findings import Finding

LENGTH = 120
"""Of a remedy here; it stands whole with its finding."""


def advice(
    found: Sequence[Finding], state_dir: str, config: str = "", http: str = "127.0.0.1:9464"
) -> list[str]:
    """Commands, the most urgent first, with the state directory and configuration given."""
    bad = [finding for finding in found if finding.standing == "bad"]
    if bad:
        return [f"first mend {f.about}: {shorten(f.remedy or f.text, LENGTH)}" for f in bad]
    # The first of a name: paths, which may be called anything, come last.
    by_name = {finding.about: finding for finding in reversed(found)}
    daemon, models = by_name.get("daemon"), by_name.get("models")
    where = f" --state-dir {quote(state_dir)}" if state_dir else ""
    given = (f" --config {quote(config)}" if config else "") + where
    if daemon is not None and daemon.facts.get("running"):
        http, endpoints = daemon.facts["http"], daemon.facts["endpoints"]
        return [
            f"rvsense top {endpoints['requests']}     # or http://{http}/ in a browser",
            f"rvsense echo {endpoints['results']}",
            f"rvsense model list --state-dir {daemon.facts['state_dir']}",
        ]
    if models is not None and models.facts.get("count"):
        return [
            f"rvsense daemon{given}     # serve and go on learning",
            f"rvsense model list{where}",
        ]
    return [
        "rvsense simulate demo --sequences 24",
        f"rvsense daemon --replay demo --loop{given}     # then http://{http}/",
        "with devices of your own: rvsense device --help, docs/devices.md",
    ]
