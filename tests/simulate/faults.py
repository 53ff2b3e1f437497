"""The things that go wrong. Each fault is two functions of a world: how it begins, how it ends."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgpack

from rvsense import wire
from rvsense.frames import CameraFrame, RadarFrame
from tests.simulate.models import HEATMAPS, PretendedModel
from tests.simulate.scenario import REMOTE, Fault
from tests.simulate.sources import Message, Sent, Stream, Trouble

if TYPE_CHECKING:
    from tests.simulate.world import World

Act = Callable[["World", Fault], None]
LITTLE_ROOM_BYTES = 2000


def begin(world: "World", fault: Fault) -> None:
    """Let it go wrong."""
    world.note("fault", fault.name, "begins")
    BEGIN[fault.name](world, fault)


def end(world: "World", fault: Fault) -> None:
    """Let it be right again."""
    world.note("fault", fault.name, "ends")
    END.get(fault.name, _nothing)(world, fault)


def _nothing(world: "World", fault: Fault) -> None:
    """It has ended by itself."""


def _streams(world: "World", fault: Fault) -> tuple[Stream, ...]:
    """Both streams of the site, or one: drawn."""
    streams = world.sources[fault.site].streams
    return world.chance.choice((streams, streams[:1], streams[1:]))


def _with(**values: float) -> Act:
    def act(world: "World", fault: Fault) -> None:
        for stream in _streams(world, fault):
            for name, most in values.items():
                setattr(stream.trouble, name, world.chance.uniform(0, most))

    return act


def _well(world: "World", fault: Fault) -> None:
    for stream in world.sources[fault.site].streams:
        if stream.trouble.held:
            world.sources[fault.site].release(stream)
        stream.trouble = Trouble()


def _hold(world: "World", fault: Fault) -> None:
    for stream in _streams(world, fault):
        stream.trouble.held = True


def _silence(world: "World", fault: Fault) -> None:
    for stream in _streams(world, fault):
        stream.trouble.silent = True


def _revive(world: "World", fault: Fault) -> None:
    """It comes back, perhaps as one that started again."""
    streams = world.sources[fault.site].streams
    for stream in streams:
        if stream.trouble.silent and world.chance.random() < 0.3:
            stream.restart(declared=False)
            if world.chance.random() < 0.7:
                _declare(streams)
    _well(world, fault)


def _declare(streams: tuple[Stream, Stream]) -> None:
    """An epoch is the site's: its streams have the same."""
    for stream in streams:
        stream.epoch += 1


def _jump(world: "World", fault: Fault) -> None:
    """A machine's clock is set, of both streams or of one, declared or not."""
    by_ns = round(world.chance.choice((-3600.0, 3600.0, -2.0, 2.0, -0.7)) * 1e9)
    declared = world.chance.random() < 0.4
    for stream in _streams(world, fault):
        stream.jump(by_ns)
    if declared:
        _declare(world.sources[fault.site].streams)


def _align(world: "World", fault: Fault) -> None:
    """The other clock follows: without a common clock there are no pairs."""
    world.align(fault.site)


def _step(world: "World", fault: Fault) -> None:
    """One clock is a little off from now on."""
    stream = world.sources[fault.site].streams[world.chance.randrange(2)]
    stream.offset_ns += world.chance.choice((-5_000_000, 5_000_000))


def _restart(world: "World", fault: Fault) -> None:
    declared = world.chance.random() < 0.7
    for stream in world.sources[fault.site].streams:
        stream.restart(declared=declared)


def _crowd(world: "World", fault: Fault) -> None:
    """Frames of sites that there is no room for."""
    stamp_ns = world.sources[fault.site].streams[0].stamp_ns(world.now_ns)
    for name in (f"crowd{number}" for number in range(6)):
        number = world.count()
        place: dict[str, Any] = {"site": name, "seq": 0, "stamp_ns": stamp_ns}
        image = b"\xff\xd8" + number.to_bytes(8)
        for frame in (
            RadarFrame(**place, source={"number": number}, heatmap=HEATMAPS[0]),
            CameraFrame(**place, codec="jpeg", image=image),
        ):
            sent = Sent(number, frame, frame.kind, name, world.now_ns, 0)
            world.send(Message(wire.encode(frame), sent))


def _full(world: "World", fault: Fault) -> None:
    world.disk.capacity_bytes = world.disk.used() + world.chance.randrange(LITTLE_ROOM_BYTES)


def _room(world: "World", fault: Fault) -> None:
    world.disk.capacity_bytes = None


def _slow(seconds: float) -> Act:
    def act(world: "World", fault: Fault) -> None:
        world.disk_slow_s = seconds

    return act


def _failing(share: float) -> Act:
    def act(world: "World", fault: Fault) -> None:
        world.disk_failing = share

    return act


def _crash(world: "World", fault: Fault) -> None:
    if world.learner is not None:
        world.learner.end(world.chance.choice((-9, 1, -11)))


def _hang(world: "World", fault: Fault) -> None:
    if world.learner is not None:
        world.learner.freeze(fault.end_s - fault.start_s)


def _no_spawn(world: "World", fault: Fault) -> None:
    world.spawn_fails = True
    _crash(world, fault)


def _spawn(world: "World", fault: Fault) -> None:
    world.spawn_fails = False


def _models(kind: str) -> Act:
    def act(world: "World", fault: Fault) -> None:
        world.next_kind = kind

    return act


def _slowed(times: float) -> Act:
    def act(world: "World", fault: Fault) -> None:
        PretendedModel.slowed = times
        world.hurry(times > 1)

    return act


def _stall(world: "World", fault: Fault) -> None:
    for subscriber in world.subscribers[1:]:
        subscriber.stalled = True


def _wake(world: "World", fault: Fault) -> None:
    for subscriber in world.subscribers[1:]:
        subscriber.resume()


def _requests(world: "World", fault: Fault) -> None:
    """More questions at once than there is room for, some of them nonsense."""
    for number in range(world.chance.choice((5, 60))):
        op = world.chance.choice(("classify", "status", "label", "reload", "nonsense"))
        head = {"v": 1, "id": number, "op": op, "site": "site0", "stamp_ns": 5, "objects": []}
        payload = []
        if op == "classify":
            head |= {"shape": [1, 128, 128, 2], "dtype": "<f2"}
            payload = [HEATMAPS[number % 4].tobytes()]
        world.ask([msgpack.packb(head), *payload])


def _set_day(world: "World", fault: Fault) -> None:
    world.clock.day_ns += round(world.chance.choice((-3600, 3600, -1, 86400)) * 1e9)


def _reload(world: "World", fault: Fault) -> None:
    world.hang_up()


def _kill(world: "World", fault: Fault) -> None:
    world.kill_daemon(power=False, away_s=fault.end_s - fault.start_s)


def _cut_power(world: "World", fault: Fault) -> None:
    world.kill_daemon(power=True, away_s=fault.end_s - fault.start_s)


def _cut(world: "World", fault: Fault) -> None:
    world.cut_cable()


def _mend(world: "World", fault: Fault) -> None:
    world.network.mend(REMOTE)


BEGIN: dict[str, Act] = {
    "loss": _with(loss=0.5),
    "twice": _with(twice=0.6),
    "disorder": _with(delay_s=0.3),
    "hold": _hold,
    "silence": _silence,
    "jump": _jump,
    "step": _step,
    "restart": _restart,
    "malformed": _with(malformed=0.5),
    "wrong_labels": _with(wrong_labels=1.0),
    "crowd": _crowd,
    "slow_disk": _slow(0.3),
    "full_disk": _full,
    "failing_disk": _failing(0.3),
    "crash": _crash,
    "hang": _hang,
    "spawn_fails": _no_spawn,
    "bad_model": _models("bad"),
    "raising_model": _models("raising"),
    "unfit_model": _models("unfit"),
    "damaged_model": _models("damaged"),
    "overload": _slowed(100.0),
    "stalled_subscriber": _stall,
    "requests": _requests,
    "day_set": _set_day,
    "reload": _reload,
    "kill_daemon": _kill,
    "power_cut": _cut_power,
    "cut": _cut,
}
END: dict[str, Act] = {
    **dict.fromkeys(("loss", "twice", "disorder", "hold", "malformed", "wrong_labels"), _well),
    **dict.fromkeys(
        ("bad_model", "raising_model", "unfit_model", "damaged_model"), _models("good")
    ),
    "silence": _revive,
    "jump": _align,
    "slow_disk": _slow(0.0),
    "full_disk": _room,
    "failing_disk": _failing(0.0),
    "spawn_fails": _spawn,
    "overload": _slowed(1.0),
    "stalled_subscriber": _wake,
    "cut": _mend,
}
