"""Both sides of the serving comparison pass the same frames through the same model."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench import served
from bench.serving import SAME, Beside, answered, bare_pass, most, percentile, prepared
from bench.traffic import PERIOD_S, Client, Moment, Trip, paced
from rvsense.encoders import EncoderSpec, build_encoder
from rvsense.errors import ModelError
from rvsense.features import squared_magnitude
from rvsense.frames import CameraFrame, RadarFrame
from rvsense.head import HeadFit
from rvsense.learner.familiarfit import fit_familiarity
from rvsense.model import ServableModel
from rvsense.packed import cpu_pass
from rvsense.published import publish
from rvsense.results import ModelName, Result

CPU = torch.device("cpu")
SPEC = EncoderSpec("residual", ("magnitude", "motion"), 32, width=4)
FRAMES = 12


@pytest.fixture(scope="module")
def film() -> list[Moment]:
    """Noise of the real shape, and small pictures."""
    rng = np.random.default_rng(0)
    picture = io.BytesIO()
    Image.new("RGB", (32, 24)).save(picture, "JPEG")
    shape = (4, 128, 128, 2)
    return [
        Moment(
            RadarFrame(site="s", seq=0, stamp_ns=0, heatmap=rng.normal(size=shape).astype("<f4")),
            CameraFrame(site="s", seq=0, stamp_ns=0, codec="jpeg", image=picture.getvalue()),
        )
        for _ in range(FRAMES)
    ]


@pytest.fixture(scope="module")
def state(film: list[Moment], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with a model that has never learned, with head and familiarity."""
    folder = tmp_path_factory.mktemp("state")
    encoder = build_encoder(SPEC, seed=0).eval()
    with torch.inference_mode():
        x = encoder.prepare(np.stack([moment.radar.heatmap for moment in film]))
        maps, power = encoder.feature_map(x), squared_magnitude(x, SPEC.channels)
    rng = torch.Generator().manual_seed(0)
    width = encoder.feature_dim
    head = HeadFit(
        torch.randn(4, width, generator=rng), torch.zeros(4), torch.zeros(width), torch.ones(width)
    )
    publish(
        folder / "models",
        weights=encoder.state_dict(),
        head=head,
        familiarity=fit_familiarity((maps[1:], power[1:]), (maps[:1], power[:1]), None),
        manifest={"step": 1, "created_ns": 1, "encoder": SPEC.to_dict()},
    )
    return folder


@pytest.fixture(scope="module")
def model(state: Path) -> ServableModel:
    """That model."""
    return ServableModel(served.model_of(state), CPU)


def test_the_bare_pass_is_what_classify_answers_by(
    model: ServableModel, film: list[Moment]
) -> None:
    """Probabilities of the network and the head alone are those of the whole answer."""
    for moment in film:
        (answer,) = model.classify([moment.radar.heatmap])
        x = prepared(model, moment)
        for run in (bare_pass(model), bare_pass(model, cpu_pass(model.encoder, x))):
            assert run(x)[0].tolist() == pytest.approx(list(answer.probs.values()), abs=1e-6)


def result_of(model: ServableModel, probs: dict[str, float], sha256: str) -> Result:
    """A daemon's result, as far as it is compared."""
    name = ModelName(id="m", step=1, sha256=sha256, published_ns=0)
    return Result(
        site="s",
        seq=0,
        stamp_ns=0,
        epoch=0,
        source={},
        label=None,
        probs=probs,
        abstain=None,
        ood_score=None,
        model=name,
        received_ns=0,
        published_ns=0,
        result_seq=0,
        drift=False,
    )


def test_another_answer_ends_the_comparison_and_another_model_is_left_out_of_it(
    model: ServableModel, film: list[Moment]
) -> None:
    """And the same answer by the same model does not."""
    beside = Beside(model, film)
    for _ in range(3):  # the bare pass, the whole, the packed pass
        beside(film[0], ("s", 0))
    assert len(beside.bare_s) == len(beside.classify_s) == len(beside.packed_s) == 1
    probs, sha256 = dict(beside.answers["s", 0].probs), model.published.sha256
    assert beside.check({("s", 0): result_of(model, probs, sha256)}) == 1
    assert beside.check({("s", 0): result_of(model, probs, "another")}) == 0
    probs["car"] += 2 * SAME
    with pytest.raises(SystemExit, match="apart"):
        beside.check({("s", 0): result_of(model, probs, sha256)})


def test_an_unanswered_frame_is_no_comparison() -> None:
    """It is said, with how many there were."""
    trip = Trip(0.002, 0.001)
    assert answered({("s", 0): trip}) == [trip]
    with pytest.raises(SystemExit, match="1 of 2 frames unanswered"):
        answered({("s", 0): trip, ("s", 1): None})


@pytest.mark.parametrize("limit", [0, 1, 2, 5, 6, 7, 8, 300])
def test_the_most_sites_are_found_to_an_eighth(limit: int) -> None:
    """Never more than are served; without refining at least half of them."""
    tried: list[int] = []

    def serves(number: int) -> bool:
        tried.append(number)
        return number <= limit

    found = most(serves, refine=True)
    coarse = most(serves, refine=False)
    assert coarse <= found <= limit
    assert min(limit, 256) - found <= found / 4
    assert coarse > min(limit, 256) / 2 or limit == 0


def test_a_percentile_is_one_of_the_values() -> None:
    """The least that so many do not exceed."""
    values = [float(i) for i in range(1, 101)]
    assert percentile(values[::-1], 0.99) == 99.0
    assert percentile([7.0], 0.99) == 7.0


@pytest.mark.process
def test_every_frame_that_is_sent_is_answered_alike(
    state: Path, model: ServableModel, film: list[Moment]
) -> None:
    """Through a real daemon, at two sites; its answers are those that are computed here."""
    with served.daemon(state, learn=False) as daemon, Client(daemon.endpoints) as client:
        client.join(film[0], "east")
        beside = Beside(model, film)
        paced(client, ["east", "west"], film, FRAMES * PERIOD_S, camera=True, between=beside)
        trips = answered(client.trips())
        assert beside.check(client.results) == len(beside.classify_s)
        passes = (beside.bare_s, beside.classify_s, beside.packed_s)
        assert len(trips) == 2 * FRAMES == sum(map(len, passes))
        assert all(0 < trip.daemon_s < trip.round_s for trip in trips)
        assert daemon.status()["intake"]["received"]["camera"] == 2 * FRAMES
        assert sum(worked.ran_s for worked in daemon.threads().values()) > 0


def test_a_model_that_lacks_a_head_is_not_measured(state: Path, tmp_path: Path) -> None:
    """Its answers would cost less."""
    published = served.model_of(state)
    publish(
        tmp_path / "models",
        weights=published.weights(),
        head=None,
        familiarity=published.familiarity(),
        manifest={"step": 1, "created_ns": 1, "encoder": SPEC.to_dict()},
    )
    with pytest.raises(ModelError, match="head and familiarity"):
        served.model_of(tmp_path)
