"""The Grafana dashboard as its tests read it."""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def board() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    found: dict[str, Any] = json.loads((ROOT / "monitoring" / "grafana.json").read_text())
    return found


def panels() -> list[dict[str, Any]]:
    """Every panel but the rows."""
    return [panel for panel in board()["panels"] if panel["type"] != "row"]


def queries() -> dict[str, str]:
    """Every PromQL query by where it stands, with Grafana's variables filled in."""
    found = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in panels()
        for target in panel["targets"]
    }
    found |= {mark["name"]: mark["expr"] for mark in board()["annotations"]["list"]}
    for name, value in (("instance", ".+"), ("site", ".+"), ("__rate_interval", "5m")):
        found = {where: query.replace(f"${name}", value) for where, query in found.items()}
    return {where: query.replace("$__interval", "15s") for where, query in found.items()}


def metrics_of(query: str) -> set[str]:
    """The names of ours and of the process in a query."""
    return set(re.findall(r"\b(?:rvsense|process)_\w+", query))
