"""The scrape configuration and the alerts, by Prometheus's own tool."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rvsense.config import Endpoints
from rvsense.daemon.metrics import Metrics

Tool = Callable[..., subprocess.CompletedProcess[str]]


def test_configuration_and_rules(root: Path, promtool: Tool) -> None:
    """promtool takes the scrape configuration with its rules."""
    checked = promtool("check", "config", root / "monitoring" / "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_alerts_fire_and_stay_silent(root: Path, promtool: Tool) -> None:
    """Each alert fires on its trouble and on nothing else."""
    tested = promtool("test", "rules", root / "monitoring" / "alerts_test.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_is_tested(root: Path) -> None:
    """An alert without a case where it fires and one where it is silent does not get in."""
    rules = (root / "monitoring" / "alerts.yml").read_text()
    cases = (root / "monitoring" / "alerts_test.yml").read_text()
    alerts = re.findall(r"- alert: (\w+)", rules)
    assert len(alerts) >= 5
    for alert in alerts:
        assert re.search(rf"alertname: {alert}\n\s+exp_alerts:", cases), alert
        assert re.search(rf"alertname: {alert}}}", cases), alert


def test_every_alert_has_its_page(root: Path) -> None:
    """Whoever is woken by an alert finds its heading, and something below it."""
    rules = (root / "monitoring" / "alerts.yml").read_text()
    page = (root / "docs" / "operations.md").read_text()
    alerts = re.findall(r"- alert: (\w+)", rules)
    assert re.findall(r"^### (Rvsense\w+)\n\n\w", page, re.MULTILINE) == alerts


def test_alerts_use_metrics_that_exist(root: Path) -> None:
    """A renamed metric does not leave a rule behind that can never fire."""
    metrics = Metrics({}, max_sites=1)
    page = metrics.exposition("")[0].decode()
    used = re.findall(r"rvsense_\w+", (root / "monitoring" / "alerts.yml").read_text())
    assert used
    names = {name.removesuffix("_bucket") for name in used}
    assert [name for name in names if f"# HELP {name} " not in page] == []


def test_scrape_target_is_the_default(root: Path) -> None:
    """The configuration scrapes where a daemon listens that was told nothing."""
    assert f'"{Endpoints().http}"' in (root / "monitoring" / "prometheus.yml").read_text()


def test_ci_does_not_skip_in_silence(
    find_tool: Callable[..., Tool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where CI must have a tool its absence is a failure; on other machines it is a skip."""
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="get it"):
        find_tool("no-such-tool", "get it", ci_has_it=True)
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="get it"):
        find_tool("no-such-tool", "get it", ci_has_it=True)
