"""Both sides of bench.scaling do the same work: the same pairs, the same bytes."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bench import fleet, scaling
from rvsense.published import open_model

pytestmark = pytest.mark.process


def test_every_daemon_has_its_pairs_taken_and_its_bytes_counted(tmp_path: Path) -> None:
    """Two daemons send as many pairs as one; the wire carries the payload and little more.

    A fetched model is the one that was published, whole.
    """
    pairs = fleet.example_pairs(2)
    learning = replace(scaling.LEARNING, teacher_weights="random")
    scaling.publish_a_model(tmp_path / "learner", pairs)
    learner = fleet.LearnerProcess(tmp_path / "learner", asdict(learning) | {"seed": 0})
    try:
        both = fleet.Fleet(learner.endpoint, 2)
        both.send(pairs, 4)
        assert [(peer.sent, peer.taken) for peer in both.peers] == [(2, 2), (2, 2)]
        both.close()
        alone = fleet.Fleet(learner.endpoint, 1)
        alone.send(pairs, 4)
        assert [(peer.sent, peer.taken) for peer in alone.peers] == [(4, 4)]
        alone.close()
        up, _ = scaling.pair_bytes(learner, pairs, 2)
        payload = sum(map(scaling.payload_bytes, pairs)) / len(pairs)
        assert payload < up < 1.01 * payload
        wire, files, _ = scaling.model_bytes(learner, tmp_path / "daemon")
        assert files < wire
        (landed,) = (tmp_path / "daemon" / "models").glob("step-*")
        assert open_model(landed).id == landed.name
    finally:
        learner.close()
