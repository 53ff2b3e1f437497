"""The whole of `rvsense evaluate` with a tiny plan: interrupted, resumed, and the same again."""

import functools
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rvsense.errors import DatasetError, UsageError
from rvsense.frames import CLASSES, RadarFrame
from rvsense.learner.offline import command
from rvsense.learner.offline import evaluate as evaluation
from rvsense.learner.offline.evaluate import Options, evaluate
from rvsense.learner.offline.plan import QUICK
from rvsense.learner.offline.units import units_of
from rvsense.machine import RANDOM
from tests.learner.offline.toyscenes import ToyRecording

PLAN = replace(
    QUICK, every=1, seeds=1, shares=(0.1, 1.0), draws=2, pretrain_steps=3, sweep_steps=1,
    sweep={64: (64,)}, supervised_epochs=2, finetune_epochs=1, least_steps=2,
    finetune_least_steps=1,
)  # fmt: skip
LABELLED = tuple(
    ToyRecording(f"{scene}{take}", scene, frames=21, site=f"site-{take}", bad=(3,))
    for scene in range(4)
    for take in range(2)
)
UNLABELLED = tuple(ToyRecording(f"u{n}", scene=n, frames=2, annotated=False) for n in range(2))
RECORDINGS = LABELLED + UNLABELLED
STOP_AFTER = 360.0
"""In training samples: more than the first two units have, so that one of them is done."""


def options(out: Path, **changes: object) -> Options:
    """A random teacher: nothing here is about what is learnt."""
    chosen = Options(out=out, name="toy", simulated=True, teacher_weights=RANDOM, jobs=2)
    return replace(chosen, **changes)  # type: ignore[arg-type]


@contextmanager
def impatient(what: str, total: float) -> Iterator[Callable[[float], None]]:
    """A progress bar that Ctrl-C comes upon when so much is learnt."""
    done = 0.0

    def advance(amount: float) -> None:
        nonlocal done
        done += amount
        if what == "learning" and done > STOP_AFTER:
            raise KeyboardInterrupt

    yield advance


def results_in(out: Path) -> set[str]:
    """Names of the units that are done."""
    return {path.stem for path in out.glob("work/*/*.json") if not path.stem.isdigit()}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    """One run that was interrupted and started again, and one that was not, alone."""
    folder = tmp_path_factory.mktemp("evaluate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "evaluate", functools.partial(evaluate, plan=PLAN))
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(evaluation, "progress_bar", impatient)
            assert command.run(RECORDINGS, options(folder / "one")) == 130
        done = results_in(folder / "one")
        assert done
        assert len(done) < len(units_of(PLAN, 100))
        assert not (folder / "one" / "metrics.json").exists()
        assert command.run(RECORDINGS, options(folder / "one", jobs=1)) == 0
    (samples,) = (folder / "one" / "work").glob("samples-*")  # alike: tests of gather say so
    shutil.copytree(samples, folder / "two" / "work" / samples.name)
    evaluate(RECORDINGS, options(folder / "two", jobs=1), PLAN)
    return folder / "one", folder / "two"


def test_metrics_are_the_same_to_the_byte(reports: Sequence[Path]) -> None:
    """Interrupted or not, with two processes or one."""
    one, two = (report / "metrics.json" for report in reports)
    assert one.read_bytes() == two.read_bytes()


def test_metrics_hold_what_was_agreed(reports: Sequence[Path]) -> None:
    """Every key of the contract, every unit's result, and the teacher as it was."""
    found = json.loads((reports[0] / "metrics.json").read_text())
    for method in ("linear", "finetune", "supervised", "init_linear"):
        assert set(found[method]) == {"0.1", "1.0"}
        for score in found[method].values():
            assert 0 <= score["mean"] <= 1
            assert len(score["values"]) == 1
    for control in ("teacher_linear", "raw_linear", "knn"):
        assert 0 <= found[control]["mean"] <= 1
    assert 0 <= found["k_sweep"]["64"]["64"]["mean"] <= 1
    assert {"finetune_epochs", "supervised_epochs", "factor"} <= set(found["efficiency"])
    assert (found["split"], found["seeds"]) == ("sequence", [0])
    assert found["config"]["plan.pretrain_steps"] == 3
    assert found["config"]["learning.preset"] == "edge"
    assert found["teacher_sha256"]["before"] == found["teacher_sha256"]["after"]
    assert found["dataset"]["frames"] == 8 * 20 + 2 * 2
    assert found["dataset"]["labelled"] == dict.fromkeys(CLASSES, 40)
    assert found["task"][0] == {
        "seed": 0, "train_frames": 80, "test_frames": 80,
        "train_sequences": 4, "test_sequences": 4,
    }  # fmt: skip
    assert results_in(reports[0]) == {unit.name for unit in units_of(PLAN, 80)}


def test_the_report_is_there_with_its_figures(reports: Sequence[Path]) -> None:
    """Self-contained, and figures beside it."""
    page = (reports[0] / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert 'src="http' not in page
    assert len(list((reports[0] / "figures").glob("*.png"))) > 5


def test_a_finished_run_is_only_read(
    reports: Sequence[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    """No process is started and no result touched; the problems are told again."""
    before = {p: p.stat().st_mtime_ns for p in reports[0].glob("work/*/*")}
    metrics = (reports[0] / "metrics.json").read_bytes()
    evaluate(RECORDINGS, options(reports[0]), PLAN)
    assert (reports[0] / "metrics.json").read_bytes() == metrics
    assert {p: p.stat().st_mtime_ns for p in reports[0].glob("work/*/*")} == before
    assert "left out: 00 frame 3: bad_npy: 000003_0000.npy: cut" in capfd.readouterr().err


def test_a_class_that_never_occurs_is_refused(reports: Sequence[Path]) -> None:
    """By count, also where a report of a richer dataset with the same names lies already."""
    poorer = [replace(r, frames=3, annotated=r.scene != 2) for r in RECORDINGS]
    needed = r"^0 frames of each class for training, at least 20 needed: .*cyclist 0, car 6"
    with pytest.raises(DatasetError, match=needed):
        evaluate(poorer, options(reports[0], jobs=1), PLAN)


@dataclass(frozen=True)
class Closed(ToyRecording):
    """Nobody may look at its frames."""

    def read_radar(self, frame_id: int) -> RadarFrame:
        """Not for a refusal."""
        raise AssertionError(f"{self.name} frame {frame_id} was read")


@pytest.mark.parametrize(
    ("split", "sequences", "frames", "refusal"),
    [
        ("sequence", 3, 4, r"^8 frames of each class for training, .* are empty 12, pedestrian 12"),
        ("frame", 3, 4, r"^\d+ frames of each class for t.*ing, .* are empty 12, pedestrian 12"),
        ("site", 3, 40, r"^1 sites, at least 2 needed .*empty 120, pedestrian 120"),
    ],
)
def test_too_few_labels_are_refused_before_a_frame_is_read(
    tmp_path: Path, split: str, sequences: int, frames: int, refusal: str
) -> None:
    """With the counts, for annotations tell; nothing is encoded."""
    poor = [
        Closed(f"{scene}{take}", scene, frames) for scene in range(4) for take in range(sequences)
    ]
    with pytest.raises(DatasetError, match=refusal):
        evaluate(poor, options(tmp_path, split=split, jobs=1), PLAN)
    assert not list(tmp_path.glob("work/*"))


def test_a_dataset_without_images_is_refused(tmp_path: Path) -> None:
    """With both counts, and nothing is left behind."""
    bare = [replace(r, images=r.scene == 0) for r in RECORDINGS]
    with pytest.raises(DatasetError, match=r"^toy: 3 of 10 sequences .* at least 10 are needed"):
        evaluate(bare, options(tmp_path / "out"), PLAN)
    assert not (tmp_path / "out").exists()


def test_impossible_options_are_refused(tmp_path: Path) -> None:
    """By the name of the flag."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"--out .*file: File exists"):
        evaluate(RECORDINGS, options(tmp_path / "file"), PLAN)
    with pytest.raises(UsageError, match=r"--jobs -1: 0, which means one per core, to 256"):
        evaluate(RECORDINGS, options(tmp_path / "out", jobs=-1), PLAN)
    with pytest.raises(UsageError, match=r"--seeds 0: 1 to 100"):
        evaluate(RECORDINGS, options(tmp_path / "out", seeds=0))
