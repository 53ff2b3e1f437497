"""Schedule, pacing, averaging, augmentation and what the learner may import."""

import ast
import math
from pathlib import Path

import pytest
import torch

import rvsense.learner
from rvsense.encoders import EncoderSpec, build_encoder
from rvsense.learner import schedule
from rvsense.learner.augment import Augmentation, augment
from rvsense.learner.averaging import Average
from rvsense.learner.pacing import Pacing


def rates(shape: schedule.Shape, total: int, steps: int) -> list[float]:
    """The learning rate of each step, base 1 and a warm-up of 4."""
    return [
        schedule.rate_at(step, base=1.0, warmup=4, total=total, shape=shape)
        for step in range(steps)
    ]


@pytest.mark.parametrize("shape", ["sqrt", "cosine"])
def test_without_an_end_the_rate_stays(shape: schedule.Shape) -> None:
    """A rise over the warm-up, then constant for ever."""
    assert rates(shape, 0, 7) == [0.25, 0.5, 0.75, 1, 1, 1, 1]
    assert schedule.rate_at(10**9, base=1.0, warmup=4, total=0, shape=shape) == 1


def test_sqrt_cools_down_over_the_last_fifth() -> None:
    """Constant up to 80 %, then 1 - √ of the progress, 0 at the end and after."""
    values = rates("sqrt", 100, 130)
    assert values[4:81] == [1.0] * 77
    assert values[85] == pytest.approx(1 - math.sqrt(5 / 20))
    assert values[100:] == [0.0] * 30


def test_cosine_is_the_papers() -> None:
    """Half way after the warm-up the rate is half, and it ends at 0."""
    values = rates("cosine", 104, 120)
    assert values[54] == pytest.approx(0.5)
    assert values[104:] == pytest.approx([0.0] * 16)
    assert values[4:] == sorted(values[4:], reverse=True)


def test_publications_come_early_then_evenly() -> None:
    """30, 60, 90, 135, 202, then every 100 steps."""
    steps, step = [], 0
    for _ in range(7):
        step = schedule.next_publication(step, 100)
        steps.append(step)
    assert steps == [30, 60, 90, 135, 202, 302, 402]
    assert schedule.next_publication(0, 5) == 5


@pytest.mark.parametrize(
    ("step", "labels", "published", "due"),
    [
        (29, 0, (0, 0), False),
        (30, 0, (0, 0), True),
        (29, 50, (0, 0), False),  # the first one has patience with labels
        (39, 8, (30, 4), False),
        (40, 8, (30, 4), True),
        (40, 7, (30, 4), False),
        (40, 1, (30, 0), False),
        (40, 2, (30, 0), True),
    ],
)
def test_a_model_is_due_early_when_the_labels_have_doubled(
    step: int, labels: int, published: tuple[int, int], due: bool
) -> None:
    """Ten steps after the last one at the earliest."""
    assert schedule.publication_due(step, labels, published, 100) == due


@pytest.mark.parametrize(("per_pair", "wanted"), [(0.5, 50), (0.3, 30), (2.0, 200), (0.0, 0)])
def test_lockstep_takes_exact_steps(per_pair: float, wanted: int) -> None:
    """A hundred pairs owe exactly their steps; pairs before the pool is ready owe none."""
    pacing = Pacing(lockstep=True, steps_per_pair=per_pair, max_reuse=1.0)
    taken = 0
    for i in range(120):
        pacing.pair_taken(ready=i >= 20)
        while pacing.wants_step(ready=i >= 20, samples=10**6, pairs=1):
            pacing.stepped()
            taken += 1
    assert taken == wanted


def test_free_training_waits_when_pairs_are_used_up() -> None:
    """It goes on until the average use of a pair is max_reuse, then is idle."""
    pacing = Pacing(lockstep=False, steps_per_pair=0.5, max_reuse=3.0)
    assert not pacing.wants_step(ready=False, samples=0, pairs=100)
    assert pacing.wants_step(ready=True, samples=299, pairs=100)
    assert not pacing.wants_step(ready=True, samples=300, pairs=100)
    assert pacing.wants_step(ready=True, samples=300, pairs=101)


def test_average_follows_weights_and_buffers() -> None:
    """The first updates hardly lag behind; counters are copied, not blended."""
    spec = EncoderSpec("residual", ("magnitude",), 4, width=2)
    encoder = build_encoder(spec, seed=0)
    average = Average(encoder, horizon_samples=1000)
    with torch.no_grad():
        for value in (3.0, 6.0):
            for tensor in encoder.state_dict().values():
                tensor.fill_(value)
            average.follow(encoder, step={3.0: 1, 6.0: 2}[value], batch=10)
    ours = average.encoder.state_dict()
    start = build_encoder(spec, seed=0).state_dict()
    for name, tensor in ours.items():
        if tensor.is_floating_point():
            first = start[name] + (3 - start[name]) * 8 / 9
            assert torch.allclose(tensor, first + (6 - first) * 8 / 10)
        else:
            assert tensor.item() == 6
    assert not average.encoder.training


def test_average_of_a_long_run_has_the_horizon_asked_for() -> None:
    """And of a run that is shorter than eight horizons, a shorter one."""
    encoder = build_encoder(EncoderSpec("residual", ("magnitude",), 4, width=2), seed=0)
    for step, share in ((100, 8 / 108), (10_000, 10 / 1000)):
        average = Average(encoder, horizon_samples=1000)
        with torch.no_grad():
            for mean, weight in zip(
                average.encoder.parameters(), encoder.parameters(), strict=True
            ):
                mean.fill_(0.0)
                weight.fill_(1.0)
        average.follow(encoder, step=step, batch=10)
        for mean in average.encoder.parameters():
            assert torch.allclose(mean, torch.tensor(share))


def test_augmentation_moves_the_whole_picture() -> None:
    """Shifts keep channels together, stay in range, and repeat with the generator."""
    x = torch.zeros(200, 2, 128, 128)
    x[:, :, 64, 64] = 1
    how = Augmentation(range_shift=3, azimuth_shift=5, gain=0.0, noise=0.0, mirror=0.0)
    y = augment(x, how, torch.Generator().manual_seed(0))
    peaks = y.flatten(2).argmax(dim=2)  # (200, 2)
    rows, columns = peaks[:, 0] // 128 - 64, peaks[:, 0] % 128 - 64
    assert torch.equal(peaks[:, 0], peaks[:, 1])
    assert (int(rows.min()), int(rows.max())) == (-3, 3)
    assert (int(columns.min()), int(columns.max())) == (-5, 5)
    assert torch.equal(y, augment(x, how, torch.Generator().manual_seed(0)))


def test_mirror_turns_the_azimuth() -> None:
    """With certainty every sample is mirrored, with probability one half some are."""
    x = torch.zeros(60, 2, 128, 128)
    x[:, :, 30, 20] = 1
    for chance, wanted in ((1.0, {127 - 20}), (0.5, {20, 127 - 20})):
        how = Augmentation(range_shift=0, azimuth_shift=0, gain=0.0, noise=0.0, mirror=chance)
        peaks = augment(x, how, torch.Generator().manual_seed(0)).flatten(2).argmax(dim=2)
        assert set((peaks % 128).flatten().tolist()) == wanted
        assert set((peaks // 128).flatten().tolist()) == {30}


FOLDER = Path(rvsense.learner.__file__).parent
PURE = ("pacing.py", "schedule.py")
NO_SERVICE = {"zmq", "msgpack", "time", "threading"}


def imported(path: Path) -> set[str]:
    """Every module that a file imports, at the top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


def test_learner_imports_neither_daemon_nor_replay() -> None:
    """The three folders meet in rvsense/ and nowhere else."""
    for path in FOLDER.glob("*.py"):
        for name in imported(path):
            assert not name.startswith(("rvsense.daemon", "rvsense.replay")), path.name


def test_pure_files_stay_pure() -> None:
    """Decisions know no socket, clock or thread; only the process's files do."""
    shell = {"main.py", "reception.py", "service.py", "publication.py", "keeping.py"}
    shell |= {"lock.py", "group.py", "yielding.py", "vitals.py", "door.py", "tryout.py", "hush.py"}
    for path in FOLDER.glob("*.py"):
        roots = {name.split(".")[0] for name in imported(path)}
        if path.name not in shell:
            assert roots.isdisjoint(NO_SERVICE), path.name
        if path.name in PURE:
            assert "torch" not in roots, path.name
