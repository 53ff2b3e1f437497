"""The Grafana dashboard: readable, and every query names what exists."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from rvsense.daemon.metrics import Metrics
from tests.ops.dashboard import board, metrics_of, panels, queries

Tool = Callable[..., subprocess.CompletedProcess[str]]
ROWS = ["Serving", "Pairing", "Learning", "Models", "Learner link", "Machine"]


def sample_names() -> set[str]:
    """The name of every sample on the metrics page of a daemon with one site."""
    metrics = Metrics({"version": "0"}, max_sites=1)
    metrics.received("radar", "north", 0.0)
    metrics.clock_offset("north", 0.0)
    page = metrics.exposition("")[0].decode()
    lines = (line for line in page.splitlines() if not line.startswith("#"))
    return {line.partition(" ")[0].partition("{")[0] for line in lines}


def test_queries_name_metrics_that_exist() -> None:
    """A renamed metric does not leave an empty panel behind."""
    known = sample_names()
    asked = queries()
    assert len(asked) > 50
    unknown = {where: metrics_of(query) - known for where, query in asked.items()}
    assert {where: names for where, names in unknown.items() if names} == {}


def test_queries_are_promql(promtool: Tool, tmp_path: Path) -> None:
    """Prometheus's own parser takes each of them."""
    asked = queries().values()
    rules = [{"record": f"panel:{n}", "expr": query} for n, query in enumerate(asked)]
    path = tmp_path / "rules.yml"  # JSON is YAML
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    checked = promtool("check", "rules", path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(rules)} rules found" in checked.stdout


def test_every_panel_says_what_it_shows() -> None:
    """Title, unit, description and legend; every query heeds the chosen daemons."""
    for panel in panels():
        assert panel["title"], panel
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["description"].endswith((".", "?")), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        for target in panel["targets"]:
            assert target["legendFormat"], panel["title"]
            assert '=~"$instance"' in target["expr"], panel["title"]


def test_layout() -> None:
    """The rows in their order, every id once, and no panel over another or beyond the edge."""
    whole = board()["panels"]
    assert [panel["title"] for panel in whole if panel["type"] == "row"] == ROWS
    ids = [panel["id"] for panel in whole]
    assert len(set(ids)) == len(ids)
    taken: dict[tuple[int, int], str] = {}
    for panel in whole:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) is panel["title"]


def test_variables() -> None:
    """One can choose the Prometheus, the daemons and the sites, and nothing else is left open."""
    variables = board()["templating"]["list"]
    assert [variable["name"] for variable in variables] == ["datasource", "instance", "site"]
    known = sample_names()
    for variable in variables[1:]:
        assert metrics_of(variable["query"]["query"]) <= known
    assert [query for query in queries().values() if "$" in query] == []
    assert {panel["datasource"]["uid"] for panel in panels()} == {"${datasource}"}
