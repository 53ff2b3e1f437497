"""Files of every kind: the named errors, nothing executed, and so much memory."""

import argparse
import importlib
import io
import pkgutil
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
import torch

from rvsense import logs
from tests.chaos.report import Report, at_most, exactly
from tests.fuzz import files
from tests.fuzz.drive import Driven, drive
from tests.fuzz.files import Kind, sprung
from tests.fuzz.memory import peak_mb, resident_mb

NAME = "files"
HELP = "heatmaps, images, datasets, recordings, models, checkpoints, keys: errors that name them"
MESSAGES, QUICK = 40_000, 500

ROOM_MB = 3_000
"""Of addresses, for whatever a file asks for."""
PEAK_MB = 700.0
"""Above what there was: an image of 4096 × 4096 pixels is 50 MB, and is resized as floats."""


def run(options: argparse.Namespace) -> Report:
    """Read so many of each kind; in a process of its own, whose peak of memory has no past."""
    torch.set_num_threads(1)
    before_mb = resident_mb()
    done = Driven(options.seed)
    logs.configure("error", io.StringIO())
    with limited(ROOM_MB):
        for kind in every(options.work):
            driven = drive(options, f"{NAME} ({kind.name})", kind.make, kind.read, share=kind.share)
            driven.made.clear()
            driven.made[kind.name] = driven.tried
            done = done.and_then(driven.named(kind.name))
    structlog.reset_defaults()
    return done.report(
        exactly("pickles loaded", str(sprung(options.work)), "False"),
        at_most("memory at its highest, above the start", peak_mb() - before_mb, PEAK_MB, " MB"),
    )


def every(work: Path) -> Iterator[Kind]:
    """All kinds, module by module."""
    for found in pkgutil.iter_modules(files.__path__):
        module = importlib.import_module(f"{files.__name__}.{found.name}")
        folder = work / found.name
        folder.mkdir()
        yield from module.kinds(folder)


@contextmanager
def limited(room_mb: int) -> Iterator[None]:
    """No more addresses than there are, and `room_mb`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + room_mb * 10**6, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
