"""How the radar encoder is trained."""

from dataclasses import dataclass

from rvsense.config.setting import setting


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
    precision: str = setting(
        "float32",
        "Of the radar encoder while it learns; bfloat16 takes a third off a step on processors "
        "that have it, and cost 3 points of accuracy on a short stream.",
        choices=("float32", "bfloat16"),
    )
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
    hang_timeout_s: float = setting(
        120.0,
        "A learner that the daemon started and that says nothing for so long is killed and started "
        "again; above its longest step and checkpoint; 0 = never.",
        low=0.0,
        high=86_400.0,
    )
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
    spread_labels: bool = setting(
        True,
        "What few labels say of pictures labels the pool's pairs for the head, which answers from "
        "radar alone.",
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
