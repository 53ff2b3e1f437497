"""What a seed stands for: the settings, the sites, and the faults with their times."""

import random
from dataclasses import dataclass, replace

from rvsense.config import Config, Endpoints, Intake, Learning, Pairing, Replay, Serving
from tests.simulate.sources import Stream

FAULTY_S = 14.0
"""Faults happen within so long from the start …"""
CALM_S = 14.0
"""… then there are none, and within this time everything must flow again."""
LONG_CALM_S = 45.0
"""The same where something was killed, and comes back after a pause that has grown."""

STATE = "/state"
INTAKE = "tcp://127.0.0.1:5560"
REMOTE = "tcp://127.0.0.1:5570"


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong; see `faults` for what each name means."""

    name: str
    start_s: float
    end_s: float
    site: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """All that is drawn from the seed, but for the small chances on the way."""

    seed: int
    config: Config
    streams: tuple[tuple[Stream, Stream], ...]
    faults: tuple[Fault, ...]
    label_share: float
    learner_start_s: float
    publish_every_steps: int = 12
    checkpoint_every_s: float = 3.0

    @property
    def remote(self) -> bool:
        """Whether the learner runs elsewhere."""
        return bool(self.config.learner)


STREAM_FAULTS = ("loss", "twice", "disorder", "hold", "silence", "jump", "step", "restart")
INPUT_FAULTS = (*STREAM_FAULTS, "malformed", "wrong_labels", "crowd")
DISK_FAULTS = ("slow_disk", "full_disk", "failing_disk")
LEARNER_FAULTS = ("crash", "hang", "spawn_fails", "bad_model", "raising_model", "unfit_model")
OTHER_FAULTS = ("damaged_model", "overload", "stalled_subscriber", "requests", "day_set", "reload")
LIVES = ("kill_daemon", "power_cut")
FAULTS = (*INPUT_FAULTS, *DISK_FAULTS, *LEARNER_FAULTS, *OTHER_FAULTS, *LIVES)
KILLS = frozenset(("crash", "spawn_fails", "cut", *LIVES))


def draw(seed: int) -> Scenario:
    """The scenario of a seed."""
    rng = random.Random(f"scenario {seed}")
    remote = rng.random() < 0.25
    names = [*FAULTS, "cut", "cut"] if remote else list(FAULTS)
    chosen = rng.sample(names, k=rng.choice((0, 1, 2, 3, 4, 5, 9)))
    sites = rng.choice((1, 1, 2))
    faults = []
    for name in chosen:
        start_s = rng.uniform(1.0, FAULTY_S - 4.0)
        end_s = min(FAULTY_S, start_s + rng.choice((0.5, 2.0, 6.0)) * rng.uniform(0.5, 1.5))
        faults.append(Fault(name, start_s, end_s, rng.randrange(sites)))
    config = _config(rng, remote)
    synchronous = config.pairing.offset_s is not None
    return Scenario(
        seed,
        config,
        tuple(_streams(rng, site, synchronous) for site in range(sites)),
        tuple(faults),
        label_share=rng.choice((0.0, 0.1, 0.4)),
        learner_start_s=rng.choice((0.3, 2.0)),
    )


def _config(rng: random.Random, remote: bool) -> Config:
    return Config(
        state_dir=STATE,
        seed=0,
        learn=rng.random() < 0.95 or remote,
        learner=REMOTE if remote else "",
        endpoints=Endpoints(intake=INTAKE),
        replay=Replay(),
        intake=Intake(
            max_sites=3,
            sites="site0, site1",  # what comes first in a crowd has the third
            reorder_wait_s=rng.choice((0.0, 0.05, 0.2)),
            reorder_frames=rng.choice((0, 2, 8)),
            label_window_frames=rng.choice((4, 64)),
            high_water_messages=rng.choice((32, 256)),
        ),
        pairing=Pairing(
            tolerance_s=rng.choice((None, None, 0.03)),
            offset_s=rng.choice((None, None, 0.0)),
            lateness_s=rng.choice((0.05, 0.2)),
            idle_timeout_s=rng.choice((0.5, 2.0)),
            max_pending_frames=rng.choice((16, 512)),
            thin_rate_hz=rng.choice((0.0, 5.0)),
        ),
        serving=Serving(
            device="cpu",
            max_waiting_frames=rng.choice((4, 64)),
            max_batch=rng.choice((1, 8)),
            exam_labels=rng.choice((0, 12)),
            exam_share=rng.choice((0.2, 0.5)),
        ),
        learning=replace(
            Learning(), preset="edge", device="cpu", backlog_pairs=rng.choice((4, 64))
        ),
    )


def _streams(rng: random.Random, site: int, synchronous: bool) -> tuple[Stream, Stream]:
    period_s = 1 / rng.choice((8, 10, 15))
    name = f"site{site}"
    radar = Stream(name, "radar", period_s, period_s * rng.choice((0.0, 0.02)))
    camera = Stream(name, "camera", period_s, period_s * rng.choice((0.0, 0.02)))
    radar.offset_ns = rng.choice((0, 10**18))
    camera.offset_ns = radar.offset_ns
    if synchronous:
        return radar, camera
    camera.offset_ns += rng.choice((0, 0, 8_000_000, -9_000_000))
    camera.drift_ppm = rng.choice((0.0, 100.0, -150.0))
    return radar, camera
