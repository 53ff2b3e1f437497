"""The learner's figures as metrics: which key becomes which name, and what it means. A table.

The learner sends its figures as one map; keys that are not here are for status pages only.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rvsense.link import LinkError
from rvsense.wire import INT64_MAX, short


class Figure(NamedTuple):
    """A metric without its prefix, its help text, the factor to the base unit, and its label.

    Keys that share a name are one metric, told apart by that label.
    """

    name: str
    help: str
    scale: float = 1.0
    label: tuple[str, str] | None = None


LABELS = "Labelled frames that the classifier is fitted on, by who labelled them."
SHORT = "What the learner's memory was too short for: steps not taken, pairs and labels let go."
LEFT_OUT = "Pairs not learned from, for what the detector saw in their images."

GAUGES = {
    "step": Figure("training_step", "Step that the learner stands at; falls after a rollback."),
    "loss": Figure("training_loss_nats", "InfoNCE loss, Eq. (1), over the last steps."),
    "mi_bound": Figure(
        "mutual_information_bound_nats", "Lower bound of the information shared by the two views."
    ),
    "mi_ceiling": Figure(
        "mutual_information_ceiling_nats", "Highest bound that so many negatives can show."
    ),
    "negatives": Figure("negatives_per_query", "Keys that a query is compared with, on average."),
    "top1": Figure("instance_top1_ratio", "Queries whose own key ranks first among all."),
    "top5": Figure("instance_top5_ratio", "Queries whose own key ranks in the first five."),
    "rankme": Figure("rankme_dimensions", "Effective rank of the features (arXiv 2210.02885)."),
    "alignment": Figure("alignment", "Mean squared distance of a query to its own key."),
    "uniformity": Figure("uniformity", "Log mean potential between queries; lower is better."),
    "query_std": Figure("query_standard_deviation", "Mean over dimensions; near 0 is collapse."),
    "near_duplicates": Figure(
        "near_duplicate_negatives_ratio", "Negatives that are nearly the positive key."
    ),
    "retrieval": Figure("heldout_retrieval_ratio", "Unseen radar frames that find their own key."),
    "ring": Figure("heldout_pairs", "Pairs kept for that and never trained on."),
    "pool": Figure("pool_fill_pairs", "Pairs in the pool."),
    "queue": Figure("queue_fill_keys", "Past keys in the queue."),
    "head_accuracy": Figure("head_accuracy_ratio", "Classifier on labels it never saw."),
    "ece": Figure("head_calibration_error_ratio", "Expected calibration error on those labels."),
    "steps_per_s": Figure("training_speed_hertz", "Training steps a second."),
    "encode_ms": Figure("teacher_encode_seconds", "Time to decode and encode one image.", 1e-3),
    "learning_rate": Figure("learning_rate", "Step size of SGD at this step."),
    "batch": Figure(
        "training_batch_samples", "Pairs in the next step; fewer when memory is short."
    ),
    "labels": Figure("labels_kept", LABELS, label=("source", "annotations")),
    "pseudo_labels": Figure("labels_kept", LABELS, label=("source", "detector")),
    "detector_ms": Figure("detector_look_seconds", "Time to find objects in one image.", 1e-3),
    "checkpoints_refused": Figure(
        "checkpoints_refused", "Damaged checkpoints that the learner has passed over."
    ),
    "daemons": Figure("learner_daemons", "Daemons that the learner serves now."),
    "rss_bytes": Figure("learner_resident_memory_bytes", "Memory of the learner process."),
    "device_bytes": Figure("learner_device_memory_bytes", "Accelerator memory of the learner."),
}

COUNTERS = {
    "step": Figure("training_steps", "Training steps taken while this daemon watched."),
    "pairs": Figure("training_pairs", "Pairs that the learner has taken in."),
    "nonfinite": Figure("nonfinite_steps", "Steps skipped for a loss that was not finite."),
    "rollbacks": Figure("training_rollbacks", "Returns to the last checkpoint."),
    "short_steps": Figure("learner_out_of_memory", SHORT, label=("during", "step")),
    "short_pairs": Figure("learner_out_of_memory", SHORT, label=("during", "pair")),
    "short_labels": Figure("learner_out_of_memory", SHORT, label=("during", "label")),
    "bad_images": Figure("images_unreadable", "Pairs left out for an image that does not decode."),
    "publish_failures": Figure("publish_failures", "Models that could not be written."),
    "daemons_gone": Figure("learner_daemons_gone", "Daemons that left the learner, or were lost."),
    "site_clashes": Figure("learner_site_clashes", "Times that two daemons sent one site."),
    "out_of_form": Figure("learner_messages_rejected", "Messages of daemons out of form."),
    "looks": Figure("detector_looks", "Images that the detector has looked at."),
    "left_out_empty": Figure("pairs_left_out", LEFT_OUT, label=("reason", "empty")),
    "left_out_others": Figure("pairs_left_out", LEFT_OUT, label=("reason", "others")),
    "left_out_doubtful": Figure("pairs_left_out", LEFT_OUT, label=("reason", "doubtful")),
}
"""Running totals of the learner, which start again at 0 or at a checkpoint when it does."""


def check(values: Mapping[str, Any]) -> None:
    """That figures are what metrics, curves and the live line take them for.

    Raises:
        LinkError: naming the one that is no number, or no count.
    """
    for name in GAUGES.keys() & values.keys():
        if not isinstance(values[name], int | float | None):
            raise LinkError(f"learner link: {name} of figures is {short(values[name])}")
    for name in COUNTERS.keys() & values.keys():
        if type(values[name]) is not int or not 0 <= values[name] <= INT64_MAX:
            raise LinkError(f"learner link: {name} of figures is {short(values[name])}")
