"""What daemons are told of a published model: its path, and its files for those elsewhere."""

from pathlib import Path
from typing import Any

from rvsense import link, parcel, published
from rvsense.errors import ModelError


def offer(model: published.PublishedModel) -> list[Any]:
    """A `model` message.

    Raises:
        OSError: the model has gone.
    """
    return link.pack("model", step=model.step, path=str(model.path), **parcel.offer_of(model))


def newest_offer(models_dir: Path) -> list[Any] | None:
    """That of the newest model that is whole; None where there is none.

    Raises:
        OSError: the folder cannot be listed.
    """
    for path in reversed(published.list_models(models_dir)):
        try:
            return offer(published.open_model(path))
        except (ModelError, OSError):
            continue  # damaged, or just pruned: the one before will do
    return None
