"""Result messages: the answer to one radar frame, as maps and as typed values. No I/O here.

On the wire: `[topic, msgpack map]` with the topic `classification/<site>`. `result_seq` counts
up per site by one, so a subscriber sees what it missed. The last value that a new subscriber
is sent carries `repeat: true`; those who had it already may skip it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgpack

from rvsense.errors import RvsenseError

if TYPE_CHECKING:  # what it imports is heavy, and no subscriber needs it
    from rvsense.published import PublishedModel

VERSION = 1
TOPIC = "classification/"
ABSTENTIONS = ("no_model", "no_labels", "out_of_distribution", "low_confidence")


class ResultError(RvsenseError):
    """A message on the results socket is not a result of this version."""


@dataclass(frozen=True, slots=True)
class ModelName:
    """The model that made an answer."""

    id: str
    step: int
    sha256: str
    published_ns: int

    def as_map(self) -> dict[str, Any]:
        """The contract's map, the same wherever an answer names its model."""
        return {name: getattr(self, name) for name in type(self).__dataclass_fields__}


def model_name(published: "PublishedModel") -> ModelName:
    """The name that answers give to a published model."""
    created_ns = int(published.manifest["created_ns"])
    return ModelName(published.id, published.step, published.sha256, created_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the radar says of one frame; `label` is None exactly when `abstain` says why."""

    site: str
    seq: int
    stamp_ns: int
    epoch: int
    source: Mapping[str, Any] = field(default_factory=dict)
    label: str | None
    probs: Mapping[str, float]
    abstain: str | None
    ood_score: float | None
    model: ModelName | None
    received_ns: int
    published_ns: int
    result_seq: int
    drift: bool = False
    repeat: bool = False

    @property
    def confidence(self) -> float:
        """Probability of the likeliest class; 0 without a classifier."""
        return max(self.probs.values(), default=0.0)


def pack(result: Result) -> list[bytes]:
    """Topic and map of a result."""
    return [topic(result.site), msgpack.packb(as_map(result))]


def as_map(result: Result) -> dict[str, Any]:
    """The contract's map: plain values only, ready for msgpack or JSON."""
    model = result.model
    values: dict[str, Any] = {
        "v": VERSION,
        "site": result.site,
        "seq": result.seq,
        "stamp_ns": result.stamp_ns,
        "epoch": result.epoch,
        "source": dict(result.source),
        "label": result.label,
        "probs": dict(result.probs),
        "abstain": result.abstain,
        "ood_score": result.ood_score,
        "model": None if model is None else model.as_map(),
        "received_ns": result.received_ns,
        "published_ns": result.published_ns,
        "result_seq": result.result_seq,
        "drift": result.drift,
        "radio_only": True,
    }
    return values | ({"repeat": True} if result.repeat else {})


def unpack(parts: Sequence[bytes]) -> Result:
    """A result message as a value; unknown keys are ignored.

    Raises:
        ResultError: when it is not a result of this version.
    """
    try:
        values = msgpack.unpackb(parts[1])
        if values["v"] != VERSION:
            raise ResultError(f"result version {values['v']}; this client speaks {VERSION}")
        known = {name: values[name] for name in Result.__dataclass_fields__ if name in values}
        if known.get("model") is not None:
            known["model"] = ModelName(
                **{k: known["model"][k] for k in ("id", "step", "sha256")},
                published_ns=known["model"]["published_ns"],
            )
        return Result(**known)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ResultError(f"not a result message ({error!r})") from None


def topic(site: str) -> bytes:
    """The topic that a site's results are published under."""
    return (TOPIC + site).encode()
