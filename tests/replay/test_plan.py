"""The order of a run: sites in turn, stamps ascending, numbers that go on."""

from collections import defaultdict
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from rvsense.frames import SceneObject
from rvsense.replay.annotations import Annotations
from rvsense.replay.plan import Labels, Slot, plan, playing_order
from rvsense.replay.sequence import Sequence, Split
from rvsense.replay.stamps import PERIOD_NS, by_index


def _sequence(
    name: str, radar: int = 2, camera: int = 2, split: Split = "train", labelled: int = -1
) -> Sequence:
    return Sequence(
        name=name,
        split=split,
        radar_files=None,
        image_folder=None,
        radar_ns=by_index(range(radar)),
        camera_ns=by_index(range(camera)),
        annotations=Annotations({0: (SceneObject("car", 5.0, 0.0),)}, labelled),
    )


def test_sites_take_turns() -> None:
    """One sequence of each site, then the next of each; by name within a site."""
    names = ["2019_01_01_B", "2019_01_01_A", "2019_01_02_C", "2019_01_01_D", "2019_01_02_A"]
    order = playing_order([*map(_sequence, names), _sequence("2019_01_00_EMPTY", 0, 0)])
    assert [sequence.name for sequence in order] == [
        "2019_01_01_A",
        "2019_01_02_A",
        "2019_01_01_B",
        "2019_01_02_C",
        "2019_01_01_D",
    ]


def test_radar_goes_before_camera_at_one_stamp() -> None:
    """The radar's answer does not wait for the image of the same moment."""
    slots = list(plan([_sequence("a")], Labels()))
    assert [(slot.kind, slot.frame_id) for slot in slots] == [
        ("radar", 0),
        ("camera", 0),
        ("radar", 1),
        ("camera", 1),
    ]


SEQUENCES = st.lists(
    st.tuples(
        st.sampled_from(["2019_01_01", "2019_01_02", "x"]), st.integers(0, 4), st.integers(0, 4)
    ),
    max_size=6,
)


@given(SEQUENCES)
def test_run_keeps_its_rules(shapes: list[tuple[str, int, int]]) -> None:
    """Over two loops: every frame once a loop, seq without gaps, stamps ascending, epochs new."""
    sequences = [_sequence(f"{site}_{i}", r, c) for i, (site, r, c) in enumerate(shapes)]
    one_pass = sum(radar + camera for _, radar, camera in shapes)
    slots = list(islice(plan(sequences, Labels(), forever=True), 2 * one_pass))
    assert len(slots) == 2 * one_pass
    frames = {(slot.loop, slot.sequence.name, slot.kind, slot.frame_id) for slot in slots}
    assert len(frames) == 2 * one_pass
    streams: dict[tuple[str, str], list[Slot]] = defaultdict(list)
    for slot in slots:
        streams[slot.sequence.site, slot.kind].append(slot)
    for stream in streams.values():
        assert [slot.seq for slot in stream] == list(range(len(stream)))
        keys = [(slot.epoch, slot.stamp_ns) for slot in stream]
        assert keys == sorted(set(keys))
    played = {(slot.sequence.name, slot.loop, slot.epoch) for slot in slots}
    assert len(played) == 2 * sum(1 for _, radar, camera in shapes if radar + camera)
    assert [slot.play_ns for slot in slots] == sorted(slot.play_ns for slot in slots)


def test_one_period_lies_between_sequences() -> None:
    """The next sequence starts one period after the last frame, whatever its own stamps say."""
    slots = list(plan([_sequence("a", 3, 0), _sequence("b", 1, 0)], Labels()))
    assert slots[3].play_ns == slots[2].play_ns + PERIOD_NS
    assert (slots[0].play_ns, slots[3].stamp_ns) == (0, 0)


def test_labels_follow_their_radar_frames() -> None:
    """Annotated radar frames carry a label, unannotated ones and images do not."""
    slots = list(plan([_sequence("a", 3, 3, labelled=1)], Labels(fraction=1.0)))
    assert [(slot.kind, slot.label, slot.label_seq) for slot in slots] == [
        ("radar", "train", 0),
        ("camera", None, 0),
        ("radar", "train", 1),
        ("camera", None, 0),
        ("radar", None, 0),
        ("camera", None, 0),
    ]


def test_labels_are_told_in_the_first_pass_only() -> None:
    """A later pass shows frames that were learned from: their annotations say nothing new."""
    slots = list(islice(plan([_sequence("a", 50, 0, labelled=49)], Labels(0.3), forever=True), 100))
    chosen = [slot.label for slot in slots]
    assert set(chosen[50:]) == {None}
    assert 0 < sum(label is not None for label in chosen[:50]) < 50
