"""Real daemons as real processes, driven from outside as a user or a device would."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.whole.running import FREE_PORTS, SMALL, Daemon, simulate

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE_MS = 60_000
"""A browser's."""
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def cruw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small simulated dataset: 12 training sequences of 12 frames at 2 sites, and a test one."""
    return simulate(tmp_path_factory.mktemp("data") / "cruw")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Starts daemons on free ports with small training settings; none outlives the test."""
    config = tmp_path / "small.toml"
    config.write_text(SMALL)
    running: list[Daemon] = []

    def begin(*arguments: str | Path, state: Path | None = None) -> Daemon:
        where = ["--state-dir", str(state or tmp_path / "state"), "--config", str(config)]
        daemon = Daemon(*FREE_PORTS, *where, *arguments)
        running.append(daemon)
        return daemon

    yield begin
    for daemon in running:
        daemon.kill()


def find_browser() -> str:
    """Chromium; without it the tests skip, or fail where CI must have it."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    for name in filter(None, names):
        if path := shutil.which(name):
            return path
    if os.environ.get("CI") == "true":
        pytest.fail("chromium is not here: run .ci/get-chromium")
    pytest.skip("chromium is not here: run .ci/get-chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """A headless browser."""
    from playwright.sync_api import expect, sync_playwright

    path = find_browser()
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_MS)
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: "Browser") -> Iterator[Callable[..., "Page"]]:
    """`visit(address, **context)`: a page of a new profile; its errors fail the test."""
    contexts, wrong = [], []

    def begin(address: str, **options: Any) -> "Page":
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"http://{address}/")
        return page

    yield begin
    for context in contexts:
        context.close()
    assert wrong == []
