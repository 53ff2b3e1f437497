"""Takes the README's pictures of the live page: `python docs/screenshots.py DATA OUT_DIR`.

Starts a daemon on a simulated data set (`rvsense simulate DATA` makes it), lets it learn for some
minutes, and photographs the page in Chromium (`pip install -e '.[dev]'`, and .ci/get-chromium).
"""

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

SPEED = "0.3"
LEARN_S = 360.0
"""Frames are unseen in the first round alone: it is played slowly, and the picture taken in it."""
COLOURS = 224
"""A palette: a quarter of the bytes, and nothing that an eye would miss."""
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 1010}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}
SHOTS = {
    "live-page": DESKTOP | {"color_scheme": "light"},
    "live-page-dark": DESKTOP | {"color_scheme": "dark"},
    "live-page-phone": PHONE | {"color_scheme": "dark"},
}
FLAGS = ["--no-sandbox", "--disable-gpu"]


def main() -> None:
    """One daemon, three pictures."""
    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    with daemon(data) as address, sync_playwright() as playwright:
        learn(address)
        path = shutil.which(os.environ.get("CHROMIUM", "chromium"))
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        for name, shot in SHOTS.items():
            shoot(browser, address, out / f"{name}.png", shot)


@contextmanager
def daemon(data: Path) -> Iterator[str]:
    """A daemon with a state of its own that plays `data` slowly; where it answers."""
    with tempfile.TemporaryDirectory() as folder:
        endpoints = [f"--{name}=tcp://127.0.0.1:*" for name in ("intake", "results", "requests")]
        log = Path(folder) / "log"
        with log.open("w") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "rvsense", "daemon", "--replay", str(data), "--speed", SPEED,
                 "--labels", "0.2", "--state-dir", f"{folder}/state", "--http", "127.0.0.1:0",
                 *endpoints],
                stdout=subprocess.DEVNULL, stderr=stream,
            )  # fmt: skip
        try:
            yield ready(log, process)
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def ready(log: Path, process: subprocess.Popen[bytes]) -> str:
    """The daemon's HTTP address, once it says so."""
    while process.poll() is None:
        for line in log.read_text().splitlines():
            if '"event": "ready"' in line:
                return str(json.loads(line)["http"])
        time.sleep(0.2)
    raise SystemExit(f"the daemon ended:\n{log.read_text()}")


def learn(address: str) -> None:
    """Let it learn for a while; says how far it is."""
    ends = time.monotonic() + LEARN_S
    while time.monotonic() < ends:
        with urllib.request.urlopen(f"http://{address}/statusz", timeout=30) as answer:
            status: dict[str, Any] = json.load(answer)
        steps, accuracy = status["learner"]["figures"].get("step", 0), status["score"]["accuracy"]
        print(f"\rstep {steps}, accuracy {accuracy}", end="", file=sys.stderr, flush=True)
        time.sleep(5)


def shoot(browser: Browser, address: str, path: Path, shot: dict[str, Any]) -> None:
    """The first screen of the page, when it shows something on wheels."""
    page = browser.new_page(**shot)
    page.goto(f"http://{address}/")
    page.wait_for_selector("#radar-empty", state="hidden")
    page.wait_for_selector("#verdict:is([data-class=car],[data-class=cyclist])", timeout=120_000)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(COLOURS)
    picture.save(path, optimize=True)
    print(f"\n{path}: {path.stat().st_size // 1024} KiB", file=sys.stderr)
    page.close()


main()
