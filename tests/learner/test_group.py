"""Two ranks on a CPU do what one process does; the scenes are played by ranks.py."""

import json
import math
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from rvsense.config import Learning
from rvsense.encoders import EncoderSpec, build_encoder
from rvsense.errors import ConfigError
from rvsense.learner.group import Group, check, joined
from rvsense.learner.syncnorm import SynchronousBatchNorm2d, synchronise
from rvsense.learner.world import Alone

PROGRAM = Path(__file__).with_name("ranks.py")
WITHIN = 1e-5
Scenes = dict[str, dict[str, Any]]


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scenes, Scenes, Scenes]:
    """What one process saw, and what rank 0 and rank 1 of two saw."""
    folder = tmp_path_factory.mktemp("ranks")
    common = os.environ | {"OMP_NUM_THREADS": "1"}
    meeting = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    environments = [common, common | meeting | {"RANK": "0"}, common | meeting | {"RANK": "1"}]
    command = [sys.executable, str(PROGRAM), str(folder)]
    running = [
        subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
        for env in environments
    ]
    try:
        for process in running:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
    finally:
        for process in running:
            process.kill()
    one, leader, follower = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("1-0", "2-0", "2-1")
    )
    return one, leader, follower


pytestmark = pytest.mark.process


@pytest.mark.parametrize("scene", ["vgg", "norm", "forgotten"])
def test_two_ranks_lose_what_one_process_loses(
    played: tuple[Scenes, Scenes, Scenes], scene: str
) -> None:
    """At equal global batch: without batch norm, with it and all terms, and when keys leave."""
    one, leader, _ = played
    assert len(leader[scene]["losses"]) == (8 if scene == "forgotten" else 20)
    assert leader[scene]["losses"] == pytest.approx(one[scene]["losses"], abs=WITHIN)


@pytest.mark.parametrize(
    "scene",
    [
        *("vgg", "vgg_shuffled", "norm", "norm_shuffled"),
        *("short", "restore", "broken", "forgotten", "quiet"),
        *("short_forward", "short_loss", "short_backward"),
    ],
)
def test_all_ranks_hold_the_same(played: tuple[Scenes, Scenes, Scenes], scene: str) -> None:
    """Weights, statistics, average, momentum and queue, to the bit."""
    _, leader, follower = played
    assert leader[scene]["digest"] == follower[scene]["digest"]


def test_statistics_of_short_numbers_are_taken_in_long_ones(
    played: tuple[Scenes, Scenes, Scenes],
) -> None:
    """In bfloat16 two ranks begin as one process does, and go on learning."""
    one, leader, _ = played
    assert leader["short"]["losses"][0] == pytest.approx(one["short"]["losses"][0], rel=0.02)
    assert all(map(math.isfinite, leader["short"]["losses"]))


def test_shuffling_matters_to_batch_statistics_alone(
    played: tuple[Scenes, Scenes, Scenes],
) -> None:
    """It is undone exactly: nothing changes without batch norm, and much does with it."""
    one, leader, _ = played
    assert leader["vgg_shuffled"]["losses"] == pytest.approx(one["vgg"]["losses"], abs=WITHIN)
    apart = [
        abs(a - b)
        for a, b in zip(leader["norm_shuffled"]["losses"], one["norm"]["losses"], strict=True)
    ]
    assert max(apart) > 100 * WITHIN


def test_a_restored_group_repeats_every_bit(played: tuple[Scenes, Scenes, Scenes]) -> None:
    """L4 for several ranks, dropout and shuffle included: followers are put back too."""
    _, leader, _ = played
    assert leader["restore"]["again"] == leader["restore"]["first"]


def test_silence_is_no_death(played: tuple[Scenes, Scenes, Scenes]) -> None:
    """A follower outlives a pause longer than its time limit when rank 0 keeps it alive."""
    one, leader, _ = played
    assert leader["quiet"]["losses"] == pytest.approx(one["quiet"]["losses"], abs=WITHIN)


def test_one_broken_rank_lets_no_rank_step(played: tuple[Scenes, Scenes, Scenes]) -> None:
    """L5 for several ranks: a gradient of the other rank is not finite, and nobody moves."""
    one, leader, follower = played
    assert leader["broken"]["loss_is_finite"]
    assert not leader["broken"]["updated"]
    assert leader["broken"]["queue_grew"]
    assert leader["broken"]["encoder"] == one["broken"]["encoder"]
    assert leader["broken"]["digest"] == follower["broken"]["digest"]


@pytest.mark.parametrize(
    ("scene", "batch"), [("short_forward", 4), ("short_loss", 7), ("short_backward", 7)]
)
def test_one_rank_without_memory_lets_no_rank_step(
    played: tuple[Scenes, Scenes, Scenes], scene: str, batch: int
) -> None:
    """In the encoder, at the loss (of rank 0), on the way back: nobody waits, and nobody moves."""
    one, leader, _ = played
    assert "memory" in leader[scene]["said"]
    assert not leader[scene]["changed"]
    assert leader[scene]["batch"] == batch
    assert all(map(math.isfinite, leader[scene]["losses"]))
    if scene == "short_backward":  # in double precision, so that it can be compared
        assert leader[scene]["losses"] == pytest.approx(one[scene]["losses"], abs=WITHIN)


def test_synchronised_encoders_serve_as_before() -> None:
    """Same names, same parameters, same answers in eval mode; no plain layer is left."""
    encoder = build_encoder(EncoderSpec("residual", ("magnitude",), 8, width=4), seed=0).eval()
    x = torch.randn(3, 1, 128, 128, generator=torch.Generator().manual_seed(0))
    names, parameters, before = list(encoder.state_dict()), list(encoder.parameters()), encoder(x)
    synchronise(encoder)
    encoder.eval()
    assert not any(type(module) is nn.BatchNorm2d for module in encoder.modules())
    assert any(type(module) is SynchronousBatchNorm2d for module in encoder.modules())
    assert list(encoder.state_dict()) == names
    assert all(a is b for a, b in zip(encoder.parameters(), parameters, strict=True))
    assert torch.equal(encoder(x), before)


def test_without_torchrun_a_process_is_alone(settings: Learning) -> None:
    """No environment, or one process: nothing of torch.distributed is touched."""
    for env in ({}, {"WORLD_SIZE": "1", "RANK": "0"}):
        with joined(settings, torch.device("cpu"), env) as world:
            assert isinstance(world, Alone)
    assert not torch.distributed.is_initialized()


def test_the_shuffle_is_a_permutation_that_is_undone(tmp_path: Path) -> None:
    """Rows are dealt in a new order at every step, and come back in their own, to the bit."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1
    )
    try:
        group = Group(60.0, shuffle=True)
        x = torch.arange(12.0)[:, None]
        deals = []
        for seed in (1, 2, 1):
            group.begin_step(seed)
            deals.append(group.deal(len(x)))
            group.begin_step(seed)
            assert torch.equal(group.encode(nn.Identity(), x), x)
        assert all(deal.sort().values.tolist() == list(range(12)) for deal in deals)
        assert torch.equal(deals[0], deals[2])
        assert not torch.equal(deals[0], deals[1])
        assert deals[0].tolist() != list(range(12))
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("name", ["batch", "min_pool_pairs"])
def test_every_rank_needs_a_row(settings: Learning, name: str) -> None:
    """Fewer pairs than processes are refused, with the setting and the way out."""
    check(settings, 6)
    with pytest.raises(ConfigError, match=rf"learning\.{name} = 3.*at most 3"):
        check(replace(settings, **{name: 3}), 4)  # type: ignore[arg-type]
