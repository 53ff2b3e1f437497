"""The daemon's mind: frames in, effects out. Pure: no sockets, no clock, no torch, no disk.

Rules, for each site:
1. A radar frame is answered once, in capture order (`order`), whatever cameras or labels do.
2. A radar frame and a camera frame that belong together make one pair (`pairing`); a pair goes
   to the learner when it is due by stamp (`thinning`), never because there is time for it.
3. A label never reaches the encoder. One for training goes to the learner's classification head
   or, for a share of them, to the exam; every label is also the truth about an answer given.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from rvsense.config import Intake, Pairing
from rvsense.daemon.decisions import Dropped, Frame, Paired
from rvsense.daemon.effects import (
    Classify,
    Effect,
    Examine,
    Learn,
    PairDropped,
    PairFound,
    Refused,
    Teach,
    Truth,
)
from rvsense.daemon.era import era_of
from rvsense.daemon.exam import Exam
from rvsense.daemon.labels import LabelDesk
from rvsense.daemon.order import Reorder
from rvsense.daemon.pairing import Pairer
from rvsense.daemon.places import Places
from rvsense.daemon.thinning import Thinning
from rvsense.frames import AnyFrame, CameraFrame, LabelFrame, RadarFrame, scene_class
from rvsense.link import Label, Pair


@dataclass(slots=True)
class Site:
    """What is kept of one radar-camera pair."""

    order: Reorder
    pairer: Pairer
    thinning: Thinning
    desk: LabelDesk
    thinned: int = 0


class Core:
    """All sites of a daemon.

    Args:
        intake: bounds on sites and on what waits.
        pairing: settings of each site's pairing.
        exam: keeps a share of the labels for checking models; fed here, read elsewhere.
        kept: sites that have a place whoever comes before them.
    """

    def __init__(
        self, intake: Intake, pairing: Pairing, exam: Exam, kept: frozenset[str] = frozenset()
    ) -> None:
        self.sites: dict[str, Site] = {}
        self.exam = exam
        self._intake, self._pairing = intake, pairing
        self._places = Places(intake.max_sites, kept)

    def handle(self, frame: AnyFrame, now_ns: int) -> list[Effect]:
        """What follows from a valid frame that came in at `now_ns` (the caller's clock).

        Raises:
            FrameError: `too_many_sites`, when its site would be one too many.
        """
        site = self._site(frame.site)
        if isinstance(frame, RadarFrame):
            return self._radar(site, frame, now_ns)
        if isinstance(frame, CameraFrame):
            return self._camera(site, frame, now_ns)
        return self._label(site, frame)

    def tick(self, now_ns: int, *, replaying: bool = False) -> list[Effect]:
        """What follows from time passing; not called in lock-step.

        A replay sends both streams through one socket: none can fall silent unseen, and its
        pairs must not depend on its speed, so the clock decides nothing about them.
        """
        effects: list[Effect] = []
        for name, site in self.sites.items():
            effects += [Classify(*arrival) for arrival in site.order.tick(now_ns)]
            if not replaying:
                effects += self._paired(name, site, site.pairer.tick(now_ns), now_ns)
        return effects

    def flush(self, now_ns: int) -> list[Effect]:
        """What follows from the end of all input."""
        effects: list[Effect] = []
        for name, site in self.sites.items():
            effects += [Classify(*arrival) for arrival in site.order.flush()]
            effects += self._paired(name, site, site.pairer.flush(), now_ns)
        return effects

    def _site(self, name: str) -> Site:
        site = self.sites.get(name)
        if site is None:
            self._places.check(name, self.sites)
            site = self.sites[name] = Site(
                Reorder(round(self._intake.reorder_wait_s * 1e9), self._intake.reorder_frames),
                Pairer(self._pairing),
                Thinning(self._pairing.thin_rate_hz),
                LabelDesk(self._intake.label_window_frames),
            )
        return site

    def _radar(self, site: Site, frame: RadarFrame, now_ns: int) -> list[Effect]:
        effects: list[Effect] = []
        leaving, refusal = site.order.push(frame, now_ns)
        effects += [Classify(*arrival) for arrival in leaving]
        if refusal is not None:
            effects.append(Refused(frame.site, refusal))
        event = Frame(
            "radar", frame.seq, frame.stamp_ns, frame.epoch, frame.heatmap.nbytes, now_ns, frame
        )
        effects += self._paired(frame.site, site, site.pairer.push(event), now_ns)
        label = site.desk.frame(frame)
        return effects + (self._taught(frame, label) if label is not None else [])

    def _camera(self, site: Site, frame: CameraFrame, now_ns: int) -> list[Effect]:
        event = Frame(
            "camera", frame.seq, frame.stamp_ns, frame.epoch, len(frame.image), now_ns, frame
        )
        return self._paired(frame.site, site, site.pairer.push(event), now_ns)

    def _label(self, site: Site, label: LabelFrame) -> list[Effect]:
        truth = scene_class(label.objects)
        if truth is None:
            return []  # several classes: an example of none of the four
        effects: list[Effect] = [Truth(label.site, label.epoch, label.stamp_ns, truth)]
        if label.purpose == "train":
            frame = site.desk.label(label)
            effects += self._taught(frame, label) if frame is not None else []
        return effects

    def _taught(self, frame: RadarFrame, label: LabelFrame) -> list[Effect]:
        truth = scene_class(label.objects)
        if truth is None:
            return []
        item = Label(frame.site, era_of(frame.epoch), frame.stamp_ns, truth, frame.heatmap)
        if self.exam.wants(truth):
            self.exam.add(frame.heatmap, truth)
            return [Examine(item)]
        return [Teach(item)]

    def _paired(
        self, name: str, site: Site, decisions: Iterable[Paired | Dropped], now_ns: int
    ) -> list[Effect]:
        effects: list[Effect] = []
        for decision in decisions:
            if isinstance(decision, Dropped):
                effects.append(PairDropped(name, decision.frame.stream, decision.reason))
                continue
            radar, camera = decision.radar, decision.camera
            lag_ns = now_ns - max(radar.arrival_ns, camera.arrival_ns)
            skew_ns = decision.skew_ns
            effects.append(PairFound(name, radar.epoch, radar.seq, camera.seq, skew_ns, lag_ns))
            if site.thinning.keeps(decision):
                effects.append(Learn(_pair(decision)))
            else:
                site.thinned += 1
        return effects


def _pair(decision: Paired) -> Pair:
    radar, camera = decision.radar.item, decision.camera.item
    assert isinstance(radar, RadarFrame)
    assert isinstance(camera, CameraFrame)
    return Pair(
        site=radar.site,
        epoch=decision.era,
        stamp_ns=radar.stamp_ns,
        radar_seq=radar.seq,
        camera_seq=camera.seq,
        skew_ns=decision.skew_ns,
        codec=camera.codec,
        heatmap=radar.heatmap,
        image=camera.image,
        image_shape=camera.shape,
    )
