"""An evaluation: samples, results of units, figures and the page; resumed after a fault."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from rvsense.errors import RvsenseError
from rvsense.learner.offline import crew, drawing, evaluate, gather, samples
from rvsense.learner.offline.crew import Tell, Unit
from rvsense.learner.offline.samples import Samples
from tests.faults.every import Said, Writer

PNG = b"\x89PNG\r\n\x1a\n and a drawing"


@dataclass(frozen=True)
class Encode:
    """Leaves two samples in a file."""

    path: Path

    def __call__(self, context: object, tell: Tell) -> dict[str, Any]:
        """As `gather.Encode`."""
        inputs, keys = torch.zeros(2, 1, 2, 2).half(), torch.zeros(2, 3).half()
        rest = [torch.arange(2) for _ in range(4)]
        samples.save(self.path, Samples(inputs, keys, rest[0], torch.zeros(2), *rest[1:]))
        return {"rows": 2}


@dataclass(frozen=True)
class Count:
    """Reads them again."""

    path: Path

    def __call__(self, context: object, tell: Tell) -> dict[str, Any]:
        """As the stages do."""
        return {"rows": len(samples.load([self.path]))}


def _here(waiting: Sequence[Unit[Any]], done: set[str], folder: Path, *_: Any, **__: Any) -> None:
    """What the processes of a crew do, in this one."""
    for unit in waiting:
        crew.do(unit, None, folder, lambda _: None)


def _evaluate(folder: Path, said: Said) -> None:
    path = folder / "work" / "00000.safetensors"
    gather.forget_unreadable({"encode": path}, folder / "work")
    units = [Unit("encode", Encode(path), 1.0), Unit("count", Count(path), 1.0, ("encode",))]
    with patch.object(crew, "_employ", _here):
        found = crew.run_units(
            units, folder / "work", lambda: None, jobs=1, progress=lambda _: None
        )
    said.append(found["count"]["rows"])
    plot = drawing.Plot("one", "One", "one", "one", lambda _sheet, _theme: None)
    with (
        patch("matplotlib.figure.Figure.savefig", lambda _self, out, **_: out.write(PNG)),
        patch("rvsense.learner.offline.charts.by_labels", lambda _: plot),
    ):
        page = evaluate.write_pages({"split": "sequence"}, folder, {})
    said.append(page.name)


def _holds(folder: Path, said: Said, done: bool) -> None:
    path = folder / "work" / "00000.safetensors"
    if path.exists():
        assert len(samples.load([path])) == 2
    for result in folder.glob("work/*.json"):
        assert result.read_text().endswith('"rows": 2\n}')
    for figure in folder.glob("figures/*.png"):
        assert figure.read_bytes() == PNG
    if (folder / "report.html").exists() or done:
        assert (folder / "report.html").read_text().rstrip().endswith("</html>")
    assert not done or said[-2:] == [2, "report.html"]


EVALUATION = Writer("evaluate", lambda folder: folder.mkdir(), _evaluate, _holds, (RvsenseError,))
