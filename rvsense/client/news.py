"""What a daemon tells beside its results: which model answers, and how it is. No I/O here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from rvsense.results import VERSION, ResultError

MODEL_TOPIC, STATUS_TOPIC = b"model", b"status"


@dataclass(frozen=True, slots=True)
class ModelNews:
    """Another model answers from now on."""

    id: str
    step: int
    sha256: str


def unpack_model(parts: Sequence[bytes]) -> ModelNews:
    """A message of topic `model`.

    Raises:
        ResultError: when it is not one of this version.
    """
    values = _map(parts)
    try:
        return ModelNews(values["id"], values["step"], values["sha256"])
    except KeyError as error:
        raise ResultError(f"not a model message: {error} is missing") from None


def unpack_status(parts: Sequence[bytes]) -> Mapping[str, Any]:
    """A message of topic `status`: what `/statusz` has.

    Raises:
        ResultError: when it is not one of this version.
    """
    return _map(parts)


def _map(parts: Sequence[bytes]) -> dict[str, Any]:
    try:
        values = msgpack.unpackb(parts[1])
        if values["v"] != VERSION:
            raise ResultError(f"version {values['v']}; this client speaks {VERSION}")
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ResultError(f"not a message of this protocol ({error!r})") from None
    return dict(values)
