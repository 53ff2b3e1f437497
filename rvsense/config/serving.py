"""What the daemon lets in, how it pairs, how it answers."""

from dataclasses import dataclass

from rvsense.config.setting import MIB, setting


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the daemon listens."""

    intake: str = setting("tcp://127.0.0.1:5560", "Frames come in here (ZeroMQ PULL).")
    results: str = setting("tcp://127.0.0.1:5561", "Classifications go out here (ZeroMQ XPUB).")
    requests: str = setting("tcp://127.0.0.1:5562", "Requests are answered here (ZeroMQ ROUTER).")
    http: str = setting(
        "127.0.0.1:9464", "HOST:PORT of the live page, /metrics, /livez, /readyz, /statusz."
    )


@dataclass(frozen=True, slots=True)
class Intake:
    """What is let in."""

    max_sites: int = setting(64, "Sites beyond this many are rejected: labels stay bounded.", low=1)
    sites: str = setting(
        "", "Sites whose place nobody takes while they are away, separated by commas."
    )
    max_chirps: int = setting(16, "A radar frame with more chirps is rejected.", low=1, high=255)
    max_image_bytes: int = setting(
        4 * MIB, "A larger camera payload is rejected.", low=1024, high=48 * MIB
    )
    max_image_pixels: int = setting(
        4096 * 4096, "An rgb8 image with more pixels is rejected.", low=1
    )
    reorder_wait_s: float = setting(
        0.05, "How long a radar frame waits for a missing one before it.", low=0.0, high=10.0
    )
    reorder_frames: int = setting(8, "How many radar frames wait for a missing one.", low=0)
    label_window_frames: int = setting(
        64, "Newest radar frames of a site that a label may still name (0.5 MB each).", low=1
    )
    high_water_messages: int = setting(256, "ZeroMQ receive queue, in messages.", low=1)


@dataclass(frozen=True, slots=True)
class Pairing:
    """How radar and camera frames are matched by time."""

    tolerance_s: float | None = setting(
        None,
        "Largest skew of a pair after offset correction; auto = half a period of the slower "
        "stream, since a wrong partner is worse than none.",
        low=1e-4,
        high=10.0,
    )
    offset_s: float | None = setting(
        None,
        "Constant radar minus camera clock offset; auto = estimated online.",
        low=-10.0,
        high=10.0,
    )
    lateness_s: float = setting(
        0.2, "How much later than its successors a frame may arrive.", low=0.0, high=60.0
    )
    idle_timeout_s: float = setting(
        2.0, "A stream silent for this long no longer holds up the other.", low=0.01, high=600.0
    )
    max_pending_frames: int = setting(
        512, "Frames waiting for a partner, per stream; the oldest is dropped beyond.", low=2
    )
    max_pending_bytes: int = setting(
        256 * MIB, "Bytes waiting for a partner, per stream; the oldest is dropped.", low=MIB
    )
    thin_rate_hz: float = setting(
        5.0, "Pairs a second and site that reach the learner; 0 = all.", low=0.0, high=1000.0
    )


@dataclass(frozen=True, slots=True)
class Serving:
    """How radar frames are answered."""

    threads: int = setting(1, "CPU threads of the serving network.", low=1, high=256)
    device: str = setting("auto", "auto, cpu or cuda.", choices=("auto", "cpu", "cuda"))
    max_waiting_frames: int = setting(
        64, "Radar frames waiting for an answer; beyond it the oldest is dropped.", low=1
    )
    max_batch: int = setting(8, "Waiting frames that are answered in one forward pass.", low=1)
    min_confidence: float = setting(
        0.4, "Below this probability the answer is withheld (low_confidence).", low=0.0, high=1.0
    )
    max_ood_score: float = setting(
        1.25,
        "Above this the frame is called out_of_distribution; 1 = the farthest hundredth of known "
        "frames. 1.25 withheld 2 % of new frames and 84 % of another site's (bench/trust.py).",
        low=0.0,
    )
    swap_margin: float = setting(
        0.05,
        "A new model may be this much less accurate on held-out labels than the serving one.",
        low=0.0,
        high=1.0,
    )
    exam_labels: int = setting(128, "Held-out labelled frames kept for that check.", low=0)
    exam_share: float = setting(
        0.2, "Share of the labels kept for that check and never learned.", low=0.0, high=0.9
    )
    max_model_bytes: int = setting(
        1024 * MIB, "A larger model of a remote learner is not fetched.", low=MIB
    )
    drift_block_frames: int = setting(
        90,
        "Frames of a site whose means are one value for drift detection: 3 s at 30 Hz. With 1 s, "
        "scenes that lasted 30 s raised it 12 times an hour; with 3 s once at most.",
        low=1,
    )
    drift_delta: float = setting(
        0.05,
        "Risk of taking chance for drift, at each look (ADWIN; its bound is a generous one).",
        low=1e-9,
        high=0.5,
    )
    drift_hold_frames: int = setting(
        1800, "Results of a site that carry the flag after a change: a minute at 30 Hz.", low=1
    )
