"""An operator who labels a frame now and then: the newest answered one, by its annotation."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import zmq

from rvsense import subscribe
from rvsense.frames import LabelFrame, SceneObject
from rvsense.replay.layouts import open_dataset
from rvsense.results import Result
from rvsense.wire import encode

LOOK_S = 0.2


class Operator:
    """A context manager; a replay of the dataset `played` is to be running.

    Args:
        every_s: a label after so long.
    """

    def __init__(self, endpoints: Mapping[str, Any], played: str, every_s: float) -> None:
        self.labelled = 0
        self._endpoints, self._every_s = endpoints, every_s
        self._sequences = {one.name: one for one in open_dataset(Path(played)).sequences}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        with zmq.Context() as context, context.socket(zmq.PUSH) as intake:
            intake.linger = 0
            intake.connect(self._endpoints["intake"])
            while not self._stop.wait(self._every_s):
                with subscribe(self._endpoints["results"]) as subscriber:
                    result = subscriber.receive(LOOK_S)
                if result is not None and (objects := self._truth(result)) is not None:
                    intake.send_multipart(encode(self._label(result, objects)))
                    self.labelled += 1

    def _truth(self, result: Result) -> tuple[SceneObject, ...] | None:
        sequence = self._sequences[str(result.source["sequence"])]
        frame_id = result.source["frame_id"]
        assert isinstance(frame_id, int)
        return sequence.objects(frame_id)

    def _label(self, result: Result, objects: tuple[SceneObject, ...]) -> LabelFrame:
        return LabelFrame(
            site=result.site,
            seq=self.labelled,
            stamp_ns=result.stamp_ns,
            epoch=result.epoch,
            objects=objects,
        )
