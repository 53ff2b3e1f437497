"""Labels by hand: words, moments, files, and which frames are chosen."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvsense.errors import UsageError
from rvsense.frames import OBJECT_CLASSES, SceneObject
from rvsense.labelling import command, table
from rvsense.labelling.choosing import MOST_AHEAD, frame_of, from_now, held_by, looks, of_table
from rvsense.labelling.command import Asked
from rvsense.labelling.scene import scene, spelled
from rvsense.labelling.sending import Sender
from rvsense.labelling.table import Wanted
from rvsense.labelling.when import NEAR_NS, Frame, between, nearest, newest, stamp_ns, told
from rvsense.requesting import NoAnswerError

CAR = SceneObject("car", 12.5, math.radians(-14.3))


def test_a_scene_is_read_as_it_is_said() -> None:
    """Metres and degrees in, metres and radians out; `empty` is no object."""
    assert scene(["car@12.5,-14.3"]) == (CAR,)
    assert scene(["empty"]) == ()
    assert [item.label for item in scene(["cyclist@4,0", "pedestrian@5,90"])] == [
        "cyclist",
        "pedestrian",
    ]


@given(
    st.lists(
        st.builds(
            lambda label, range_m, deg: f"{label}@{range_m},{deg}",
            st.sampled_from(OBJECT_CLASSES),
            st.floats(0.25, 30).map(lambda x: round(x, 2)),
            st.floats(-90, 90).map(lambda x: round(x, 1)),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_scene_survives_being_spelled(words: list[str]) -> None:
    """What is printed is what would have to be typed."""
    again = scene(spelled(scene(words)).split())
    for one, other in zip(scene(words), again, strict=True):
        assert (one.label, one.range_m) == (other.label, other.range_m)
        assert one.azimuth_rad == pytest.approx(other.azimuth_rad, abs=1e-4)


@pytest.mark.parametrize(
    ("words", "told_of"),
    [
        ([], "what was there"),
        (["empty", "car@1,2"], "stands alone"),
        (["car"], "is no object"),
        (["car@1"], "is no object"),
        (["car@x,2"], "is no place"),
        (["bus@1,2"], "is no class"),
        (["car@0,2"], "not in front"),
        (["car@inf,2"], "not in front"),
        (["car@nan,2"], "not in front"),
        (["car@3,91"], "not in front"),
        (["car@3,nan"], "not in front"),
    ],
)
def test_what_is_no_scene_is_said(words: list[str], told_of: str) -> None:
    """Each mistake has its own message."""
    with pytest.raises(UsageError, match=told_of):
        scene(words)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1234567890123456789", 1234567890123456789),
        ("-5", -5),
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01 00:01", 60 * 10**9),
        ("1970-01-01T00:00:01.000000007", 10**9 + 7),
        ("1970-01-01T02:00:00.5+02:00", 5 * 10**8),
        ("2026-11-23T21:57:29.25Z", 1795471049250000000),
    ],
)
def test_moments(text: str, nanoseconds: int) -> None:
    """Nanoseconds or a time of day, none of it rounded; without a zone it is UTC."""
    assert stamp_ns(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "now", "1.5", "2026-13-01T00:00:00Z", "12:00", "9" * 20])
def test_what_is_no_moment_is_said(text: str) -> None:
    """And what one looks like."""
    with pytest.raises(UsageError, match="is no moment: nanoseconds since 1970"):
        stamp_ns(text)


@pytest.mark.parametrize("text", ["9" * 19, "-" + "9" * 19, "2300-01-01T00:00:00Z"])
def test_a_moment_that_no_message_holds_is_said(text: str) -> None:
    """Stamps are of 64 bits."""
    with pytest.raises(UsageError, match="1677 to 2262"):
        stamp_ns(text)


def test_a_moment_is_told_so_that_it_can_be_typed() -> None:
    """To the millisecond; a stamp of no calendar stays a number."""
    assert told(1795471049250000000) == "2026-11-23T21:57:29.250Z"
    assert stamp_ns(told(1795471049250000000)) == 1795471049250000000
    assert told(2**63 - 1).endswith("Z")
    assert told(-(2**63)).endswith(("Z", "ns"))


HELD: list[Frame] = [(0, 100 * NEAR_NS), (1, 0), (1, 2 * NEAR_NS), (1, 4 * NEAR_NS)]


def test_the_nearest_frame_is_of_the_newest_clock() -> None:
    """Half a period either way; stamps repeat when a recording is played again."""
    assert nearest(HELD, 3 * NEAR_NS, None) in HELD[2:]
    assert nearest(HELD, 5 * NEAR_NS, None) == HELD[3]
    assert nearest(HELD, 5 * NEAR_NS + 1, None) is None
    assert nearest([(0, 7), (1, 9)], 7, None) == (1, 9)
    assert nearest([(0, 7), (1, 9)], 9, 0) == (0, 7)
    assert nearest([], 0, None) is None


def test_spans_and_the_newest() -> None:
    """Both ends belong to a span; the past is that of the newest clock."""
    assert between(HELD, 2 * NEAR_NS, 4 * NEAR_NS) == HELD[2:]
    assert between(HELD, 0, 200 * NEAR_NS, epoch=0) == HELD[:1]
    assert newest(HELD) == HELD[3:]
    assert newest(HELD, past_s=2 * NEAR_NS / 1e9) == HELD[2:]
    assert newest(HELD, past_s=100) == HELD[1:]
    assert newest([]) == []
    assert newest(HELD, epoch=0) == HELD[:1]
    assert newest(HELD, past_s=100, epoch=0) == HELD[:1]
    assert newest(HELD, epoch=2) == []


class Daemon:
    """What a Requester would talk to: frames at hand, look by look, and the labels it got."""

    endpoint = "tcp://here:1"

    def __init__(self, *held: dict[str, list[Frame]]) -> None:
        self.held = list(held)
        self.got: list[tuple[str, int, int, str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """As Requester.ask."""
        if op == "frames":
            return {"frames": self.held.pop(0) if len(self.held) > 1 else self.held[0]}
        assert op == "label"
        where = (fields["site"], fields["epoch"], fields["stamp_ns"])
        self.got.append((*where, fields["purpose"]))
        at_hand = (where[1], where[2]) in self.held[0].get(where[0], [])
        return {"use": "taught" if at_hand else "waiting"}


def sender_to(daemon: Daemon, *, dry: bool = False) -> Sender:
    """A Sender that asks this one."""
    return Sender(daemon, dry=dry)  # type: ignore[arg-type]


def test_a_site_need_not_be_named_where_there_is_one() -> None:
    """Else the error lists those there are: a wrong name would open a new site."""
    assert sender_to(Daemon({"north": []})).site("") == "north"
    both = sender_to(Daemon({"north": [], "south": []}))
    assert both.site("south") == "south"
    for name in ("", "nort"):
        with pytest.raises(UsageError, match="north, south"):
            both.site(name)
    with pytest.raises(UsageError, match="no frame has come yet"):
        sender_to(Daemon({})).site("")


def test_frames_at_hand_are_labelled_in_order() -> None:
    """With the epoch and stamp of each; where none is at hand, what is there is told."""
    daemon = Daemon({"north": HELD})
    sent = list(held_by(sender_to(daemon), "north", (CAR,), "train", lambda held: held[2:]))
    assert daemon.got == [("north", *frame, "train") for frame in HELD[2:]]
    assert [one.use for one in sent] == ["taught", "taught"]
    with pytest.raises(UsageError, match=r"at hand: 1970-01-01T00:00:00.000Z to"):
        list(held_by(sender_to(daemon), "north", (), "train", lambda held: []))


def test_a_dry_run_sends_nothing() -> None:
    """It says which frames would have been labelled."""
    daemon = Daemon({"north": HELD})
    sender = sender_to(daemon, dry=True)
    sent = list(held_by(sender, "north", (), "score", lambda held: held))
    assert [(one.epoch, one.stamp_ns, one.use) for one in sent] == [
        (*frame, "not_sent") for frame in HELD
    ]
    assert daemon.got == []


def test_from_now_on_labels_what_comes_and_only_once() -> None:
    """What was there before is left alone, and so is what was labelled at an earlier look."""
    first, second, third = [[(0, n) for n in range(start, start + 3)] for start in (0, 2, 2)]
    daemon = Daemon(*({"north": held} for held in (first, second, [*third, (1, 0)])))
    list(from_now(sender_to(daemon), "north", (), "train", looks=range(3)))
    assert daemon.got == [("north", 0, n, "train") for n in (3, 4)] + [("north", 1, 0, "train")]


@pytest.mark.parametrize(
    "way", [{"last": True}, {"past_s": 100.0}, {"start": "0"}, {"for_s": 1.0}, {"stamp": "0"}]
)
def test_an_epoch_that_is_given_is_the_clock_that_is_labelled(
    way: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the frames are chosen, though a newer clock has some as well."""

    class Restarted(Daemon):
        def __init__(self, *_: object) -> None:
            first = {"north": [(0, 0), (1, 0)]}
            super().__init__(first, first, {"north": [(0, 0), (1, 0), (0, 5), (1, 5)]})
            made.append(self)

    made: list[Restarted] = []
    monkeypatch.setattr(command, "Requester", Restarted)
    monkeypatch.setattr(command, "looks", lambda _: range(2))
    asked = Asked(words=("empty",), epoch=0, **way)
    command.label(asked, endpoint="x", dry=False, as_json=True)
    assert {epoch for _, epoch, _, _ in made[0].got} == {0}


def wanted(stamp: int, epoch: int | None = None, site: str = "north") -> Wanted:
    """An empty scene, for training."""
    return Wanted(site, stamp, epoch, "train", ())


@pytest.mark.parametrize(
    ("label", "frame"),
    [
        (wanted(2 * NEAR_NS + 5), HELD[2]),
        (wanted(-10 * NEAR_NS), (1, -10 * NEAR_NS)),
        (wanted(90 * NEAR_NS, epoch=0), (0, 90 * NEAR_NS)),
        (wanted(90 * NEAR_NS), None),
        (wanted(0, epoch=2), None),
    ],
)
def test_the_frame_of_a_label(label: Wanted, frame: Frame | None) -> None:
    """One at hand; its own stamp where that has passed, for the daemon to say so; else none yet."""
    assert frame_of(label, HELD) == frame


def test_labels_of_a_file_follow_their_frames() -> None:
    """Each goes out when its frame is there; of those ahead at the end, so many wait."""
    held: list[dict[str, list[Frame]]] = [{"north": [(0, 10**9)]}, {"north": [(0, 2 * 10**9)]}]
    daemon = Daemon(*held)
    far = [wanted(n * 10**9) for n in range(3, MOST_AHEAD + 5)]
    labels = [wanted(10**9), wanted(2 * 10**9), *far, wanted(0, site="nowhere")]
    sent = list(of_table(sender_to(daemon), labels, looks=range(2)))
    uses = [one.use for one in sent]
    assert uses[2:] == ["waiting"] * MOST_AHEAD + ["ahead"] * 2 + ["no_site"]
    assert daemon.got[:3] == [("north", 0, n * 10**9, "train") for n in (1, 2, 3)]


def test_looks_end_with_the_time() -> None:
    """One at the start, at least one at the end."""
    assert len(list(looks(0.0))) == 1
    assert len(list(looks(0.02))) == 2


HEAD = "site,stamp,class,range_m,azimuth_deg\n"


def rows(text: str, site: str = "") -> Sequence[Wanted]:
    """The labels of a file's text."""
    return table.read(io.StringIO(text), "a.csv", site=site, purpose="train")


def test_lines_of_one_frame_are_one_scene() -> None:
    """Sorted by time; columns in any order, and left out where they may be."""
    text = HEAD + "north,9,empty\nnorth,7,car,12.5,-14.3\nnorth,7,cyclist,4,0\n"
    seven, nine = rows(text)
    assert (seven.stamp_ns, seven.epoch, len(seven.objects)) == (7, None, 2)
    assert seven.objects[0] == CAR
    assert (nine.stamp_ns, nine.objects) == (9, ())
    text = "epoch,class,range_m,azimuth_deg,purpose,stamp\n3,empty,,,score,1970-01-01T00:00:01Z\n"
    (one,) = rows(text, site="south")
    assert one == Wanted("south", 10**9, 3, "score", ())


@pytest.mark.parametrize(
    ("text", "told_of"),
    [
        ("", "a.csv:1: column 'stamp' is missing"),
        ("site,stamp,class,range_m,azimuth\n", "column 'azimuth' is unknown"),
        (HEAD + "north,x,empty\n", "a.csv:2: 'x' is no moment"),
        (HEAD + "north,1,car,1,0\n\nnorth,1,bus,1,0\n", "a.csv:4: 'bus' is no class"),
        (HEAD + "north,1,car\n", "a.csv:2: range '', azimuth '' is no place"),
        (HEAD + "north,1,empty,3,4\n", "empty has no place"),
        (HEAD + ",1,empty\n", "a.csv:2: no site"),
        (HEAD + "north,1,empty,,,more\n", "more cells than columns"),
        (HEAD + 'north,"1,empty\n', "a.csv:2: unexpected end of data"),
        (HEAD + "north,1,empty\nnorth,1,car,1,0\n", "is empty and is not"),
        ("epoch," + HEAD + "-1,north,1,empty\n", "epoch '-1'"),
        ("epoch," + HEAD + "9" * 19 + ",north,1,empty\n", "epoch '999"),
        ("purpose," + HEAD + "learn,north,1,empty\n", "purpose 'learn'"),
        ("purpose," + HEAD + "score,n,1,car,1,0\ntrain,n,1,car,1,0\n", "two purposes"),
        (HEAD + "north,x,empty\n" * 12, "and 2 more"),
    ],
)
def test_a_bad_file_is_refused_by_line(text: str, told_of: str) -> None:
    """Nothing of it is sent; each bad line is named with what is wrong."""
    with pytest.raises(UsageError, match="nothing was sent") as refused:
        rows(text)
    assert told_of in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "told_of"),
    [
        (Asked(words=("empty",)), "which frames"),
        (Asked(words=("empty",), last=True, start="1"), "which frames"),
        (Asked(words=("empty",), last=True, for_s=3.0), "which frames"),
        (Asked(words=("empty",), for_s=0.0), "--for 0"),
        (Asked(words=("empty",), past_s=math.nan), "--past nan"),
        (Asked(words=("empty",), past_s=1e300), r"--past 1e\+300"),
        (Asked(words=("empty",), for_s=math.inf), "--for inf"),
        (Asked(words=("empty",), last=True, epoch=10**22), "--epoch 10"),
        (Asked(words=("empty",), last=True, epoch=-1), "--epoch -1"),
        (Asked(csv="a.csv", epoch=1), "a column epoch"),
        (Asked(words=("empty",), csv="a.csv"), "leave the objects out"),
        (Asked(csv="no/such.csv"), "No such file"),
    ],
)
def test_what_cannot_be_asked_is_said_before_a_daemon_is(asked: Asked, told_of: str) -> None:
    """No connection is needed to find a mistake."""
    with pytest.raises(UsageError, match=told_of):
        command.label(asked, endpoint="nowhere", dry=False, as_json=False)


def test_files_that_hold_no_labels(tmp_path: Path) -> None:
    """One without lines, and one that is no text."""
    path = tmp_path / "a.csv"
    path.write_text("\ufeff" + HEAD)
    with pytest.raises(UsageError, match="holds no label"):
        command.label(Asked(csv=str(path)), endpoint="nowhere", dry=False, as_json=False)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="no text in UTF-8"):
        command.label(Asked(csv=str(path)), endpoint="nowhere", dry=False, as_json=False)


def test_a_daemon_that_goes_away_in_between(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was done by then is told before the error."""

    class Going(Daemon):
        def __init__(self, *_: object) -> None:
            super().__init__({"north": HELD})

        def ask(self, op: str, **fields: Any) -> dict[str, Any]:
            if len(self.got) == 2:
                raise NoAnswerError("gone")
            return super().ask(op, **fields)

    monkeypatch.setattr(command, "Requester", Going)
    asked = Asked(words=("empty",), past_s=100.0)
    with pytest.raises(NoAnswerError, match="gone"):
        command.label(asked, endpoint="x", dry=False, as_json=True)
    told_of = capsys.readouterr()
    assert len(told_of.out.splitlines()) == 2
    assert told_of.err == "2 labels: 2 taught\n"


@pytest.mark.parametrize(("csv_line", "status"), [("1,empty", 0), ("1,car,3,4\n1,cyclist,3,4", 1)])
def test_the_exit_status_tells_of_lost_labels(
    csv_line: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 where every label is of use, 1 where one is not."""

    class Picky(Daemon):
        def __init__(self, *_: object) -> None:
            super().__init__({"north": HELD})

        def ask(self, op: str, **fields: Any) -> dict[str, Any]:
            reply = super().ask(op, **fields)
            return {"use": "mixed"} if len(fields.get("objects", ())) > 1 else reply

    monkeypatch.setattr(command, "Requester", Picky)
    path = tmp_path / "a.csv"
    path.write_text(f"stamp,class,range_m,azimuth_deg\n{csv_line}\n")
    asked = Asked(site="north", csv=str(path))
    assert command.label(asked, endpoint="x", dry=False, as_json=False) == status
