"""A served model without its network: it reads what a model reads, and answers its favourite."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from rvsense.answer import Answer
from rvsense.frames import CLASSES
from rvsense.published import PublishedModel


class LightModel:
    """In place of a `ServableModel`; what is tried here are files."""

    def __init__(self, published: PublishedModel, device: object) -> None:
        self.published = published
        published.weights()
        published.familiarity()
        head = published.head()
        assert head is not None
        self._answer = Answer(CLASSES[int(head.bias.argmax())], {}, None, None)

    def classify(self, heatmaps: Sequence[Any]) -> list[Answer]:
        """The same for all."""
        return [self._answer] * len(heatmaps)


@contextmanager
def light_models() -> Iterator[None]:
    """What loads a model is given such a one."""
    with (
        patch("rvsense.daemon.models.ServableModel", LightModel),
        patch("rvsense.models.orders.ServableModel", LightModel),
    ):
        yield
