"""Every setting of rvsense, with its default, its bounds and one line that says why.

The dataclasses are the single source: command-line flags, the TOML file, `--print-config` and
the documentation are all read off them. Sections are frozen; a reload makes new ones.
"""

from dataclasses import dataclass, field
from typing import Any

MIB = 1024 * 1024


def setting(
    default: Any,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """A dataclass field with its documentation and its allowed values (bounds inclusive)."""
    return field(
        default=default, metadata={"doc": doc, "low": low, "high": high, "choices": choices}
    )


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the daemon listens."""

    intake: str = setting("tcp://127.0.0.1:5560", "Frames come in here (ZeroMQ PULL).")
    results: str = setting("tcp://127.0.0.1:5561", "Classifications go out here (ZeroMQ XPUB).")
    requests: str = setting("tcp://127.0.0.1:5562", "Requests are answered here (ZeroMQ ROUTER).")
    http: str = setting("127.0.0.1:9464", "HOST:PORT of /metrics, /livez, /readyz, /statusz.")


@dataclass(frozen=True, slots=True)
class Intake:
    """What is let in."""

    max_sites: int = setting(64, "Sites beyond this many are rejected: labels stay bounded.", low=1)
    max_chirps: int = setting(16, "A radar frame with more chirps is rejected.", low=1, high=255)
    max_image_bytes: int = setting(4 * MIB, "A larger camera payload is rejected.", low=1024)
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


@dataclass(frozen=True, slots=True)
class Learning:
    """How the radar encoder is trained. The paper's symbols are named where they occur."""

    preset: str = setting("auto", "auto, edge or paper.", choices=("auto", "edge", "paper"))
    inputs: str = setting(
        "",
        "What the encoder sees of a heatmap; motion is what differs between its chirps; "
        "empty = the preset's own.",
        choices=("", "magnitude", "magnitude+motion"),
    )
    device: str = setting("auto", "auto, cpu or cuda.", choices=("auto", "cpu", "cuda"))
    threads: int = setting(1, "CPU threads of the learner.", low=1, high=256)
    niceness: int = setting(10, "Serving goes first when cores are short.", low=0, high=19)
    teacher_weights: str = setting(
        "", "File of teacher weights; empty = the preset's own; random = for tests only."
    )
    batch: int = setting(64, "Mini-batch of pairs (the paper: 64 or 128).", low=2)
    queue: int = setting(4096, "K, past keys that serve as negatives.", low=1)
    temperature: float = setting(0.07, "τ of Eq. (1).", low=1e-3, high=10.0)
    learning_rate: float | None = setting(
        None, "SGD step size; auto = the preset's own, 0.2 or the paper's 0.03.", low=0.0, high=10.0
    )
    momentum: float = setting(0.9, "SGD momentum.", low=0.0, high=0.999)
    weight_decay: float = setting(1e-4, "SGD weight decay.", low=0.0, high=1.0)
    warmup_steps: int = setting(50, "Steps over which the learning rate rises.", low=0)
    total_steps: int = setting(
        0, "Steps of the whole run; 0 = no end known, so no cool-down.", low=0
    )
    ema_samples: int = setting(6400, "Averaging horizon of the served weights, in samples.", low=0)
    pool_policy: str = setting(
        "reservoir",
        "Which pairs stay: reservoir, fifo or min_redundancy.",
        choices=("reservoir", "fifo", "min_redundancy"),
    )
    pool_pairs: int = setting(4096, "Pairs kept for sampling (about 70 KiB each).", low=2)
    min_pool_pairs: int = setting(64, "Training starts at this fill.", low=2)
    exclusion_s: float = setting(
        2.0, "Keys this close in time to the query are no negatives.", low=0.0
    )
    max_reuse: float = setting(
        64.0, "How often a pair is used on average before training waits for new ones.", low=1.0
    )
    steps_per_pair: float = setting(
        0.5, "Training steps for each new pair in lock-step (--speed max).", low=0.0
    )
    standardise_keys: bool = setting(
        False, "Standardise teacher keys by running statistics, frozen after a warm-up."
    )
    background: str = setting(
        "",
        "What all pictures of a site share, in teacher keys: kept, or removed = less their mean; "
        "empty = the preset's own.",
        choices=("", "kept", "removed"),
    )
    negatives: str = setting(
        "",
        "Keys that a query is contrasted with: all, or site = those of its own site, since "
        "telling sites apart teaches nothing; empty = the preset's own.",
        choices=("", "all", "site"),
    )
    short_keys: int = setting(
        0,
        "Teacher keys by this many principal axes, so that a queue of 65,536 is cheap; fitted on "
        "the first 512 pairs or 4 per axis, and training starts after them; 0 = off.",
        low=0,
        high=1024,
    )
    whiten_keys: bool = setting(
        False, "Give the axes of short_keys equal variance; small accidents then count as much."
    )
    decoupled: bool = setting(
        False, "The positive leaves the denominator of Eq. (1): small batches lose less (DCL)."
    )
    soft_targets: float = setting(
        0.0,
        "Weight of targets by key-key similarity: other scenes may look alike (SEED); 0 = Eq. (1).",
        low=0.0,
        high=1.0,
    )
    soft_temperature: float = setting(
        0.02,
        "Softness of those targets; raw keys are nearly parallel: at 0.07 the positive itself "
        "keeps 0.5 % among 4,096, at 0.02 13 %, at 0.01 83 %.",
        low=1e-3,
        high=10.0,
    )
    intra_modal: float = setting(
        0.0,
        "Weight of radar against radar, two augmented views of one heatmap; above 0 a step costs "
        "twice as much.",
        low=0.0,
        high=100.0,
    )
    intra_temperature: float = setting(
        0.1, "Temperature of the intra-modal term.", low=1e-3, high=10.0
    )
    temporal_positive_s: float = setting(
        0.0,
        "Half of the positives are keys of the same place this close in time, where the pool "
        "has one; 0 = none.",
        low=0.0,
        high=60.0,
    )
    augment: bool = setting(True, "Small range and azimuth shifts and gain on the radar input.")
    mask_rows: int = setting(
        0, "Widest band of range rows that augmentation blanks; 0 = none.", low=0, high=127
    )
    mask_columns: int = setting(
        0, "Widest band of azimuth columns that augmentation blanks; 0 = none.", low=0, high=127
    )
    publish_every_steps: int = setting(100, "A model is published this often.", low=1)
    checkpoint_every_s: float = setting(60.0, "Seconds between checkpoints.", low=1.0)
    checkpoints_kept: int = setting(2, "Checkpoints on disk: the newest and fallbacks.", low=1)
    models_kept: int = setting(8, "Published models on disk.", low=2)
    max_nonfinite_steps: int = setting(
        5, "Non-finite steps in a row before the last checkpoint is restored.", low=1
    )
    max_labels: int = setting(2048, "Labelled frames kept; the oldest of a class leaves.", low=8)
    backlog_pairs: int = setting(
        64, "Pairs on their way to the learner; beyond it the oldest is dropped.", low=1
    )
    shuffle_bn: bool = setting(
        False,
        "Several GPUs: batch statistics per GPU with MoCo's shuffle; false = synchronised, which "
        "gives what one process would.",
    )
    group_timeout_s: float = setting(
        300.0, "Several GPUs: a process silent for this long ends the job.", low=5.0, high=86_400.0
    )
    heldout_pairs: int = setting(
        128, "Ring of pairs that are never trained on, for retrieval.", low=0
    )
    label_source: str = setting(
        "annotations",
        "Where the classes come from: annotations, or detector = pseudo-labels from the camera.",
        choices=("annotations", "detector"),
    )
    collate: str = setting(
        "off",
        "Pairs by what the detector sees: off, wanted = only with wanted objects, balance = the "
        "pool holds as many of each scene class.",
        choices=("off", "wanted", "balance"),
    )
    wanted: str = setting(
        "pedestrian,cyclist,car",
        "Objects of which `collate = wanted` asks for at least one.",
        choices=(
            *("pedestrian", "cyclist", "car", "pedestrian,cyclist", "pedestrian,car"),
            *("cyclist,car", "pedestrian,cyclist,car"),
        ),
    )
    detector: str = setting(
        "nanodet", "nanodet, which is bundled, or the name of a torchvision detector."
    )
    detector_rate_hz: float = setting(
        1.0,
        "Images a second and site that the detector looks at, by stamp; 0 = every pair's. One "
        "costs as much as three of the teacher's.",
        low=0.0,
        high=1000.0,
    )
    detector_sure: float = setting(
        0.5, "A box of at least this score is an object.", low=0.0, high=1.0
    )
    detector_doubt: float = setting(
        0.25,
        "From this score up to detector_sure there may be an object: such a scene gives no label.",
        low=0.0,
        high=1.0,
    )
    detector_standing_looks: int = setting(
        30,
        "Boxes found in the same place in more looks than this are parked cars and the like, and "
        "not there; 0 = none.",
        low=0,
        high=100_000,
    )
    detector_least_height: float = setting(
        0.05,
        "Boxes below this share of the image's height are beyond the radar's reach (CRUW: a "
        "person at 25 m is .06).",
        low=0.0,
        high=1.0,
    )


@dataclass(frozen=True, slots=True)
class Replay:
    """What the daemon plays into itself, through its own intake socket."""

    path: str = setting("", "Dataset to play; empty = none, frames come from outside.")
    speed: float = setting(
        1.0, "Times the source's own rate; 0 = max, lock-step.", low=0.0, high=1000.0
    )
    loop: bool = setting(False, "Play it again and again.")
    labels: float = setting(
        0.01,
        "Share of the frames whose annotation the classifier may see; the encoder sees none.",
        low=0.0,
        high=1.0,
    )
    exit_at_end: bool = setting(False, "End the daemon with the replay.")

    @property
    def lockstep(self) -> bool:
        """Whether nothing may be dropped and every run must be the same."""
        return bool(self.path) and self.speed == 0


@dataclass(frozen=True, slots=True)
class Simulate:
    """What `rvsense simulate` writes."""

    sequences: int = setting(
        120,
        "Sequences, every tenth of them a test sequence without images.",
        low=1,
        high=100_000,
    )
    frames: int = setting(30, "Frames per sequence, at 30 a second.", low=1, high=999_999)
    sites: int = setting(
        4, "Fixed places, each with its own clutter and background.", low=1, high=28
    )
    seed: int = setting(0, "Everything follows from it.", low=0, high=2**32 - 1)
    mixed: bool = setting(False, "Also scenes with several classes.")
    jobs: int = setting(0, "Processes; 0 = one per core.", low=0, high=256)


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration of a daemon and its learner."""

    state_dir: str = setting(
        "", "Models and checkpoints; empty = $STATE_DIRECTORY, else $XDG_STATE_HOME/rvsense."
    )
    seed: int = setting(0, "Seed of training, sampling and the choice of labels.", low=0)
    log_level: str = setting(
        "info", "debug, info, warning or error.", choices=("debug", "info", "warning", "error")
    )
    learn: bool = setting(True, "Learn beside serving; false = serve only.")
    learner: str = setting("", "Endpoint of a learner that runs elsewhere; empty = start one.")
    endpoints: Endpoints = Endpoints()
    replay: Replay = Replay()
    intake: Intake = Intake()
    pairing: Pairing = Pairing()
    serving: Serving = Serving()
    learning: Learning = Learning()
