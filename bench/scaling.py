"""What one learner gives several daemons: pairs a second, bytes a pair, bytes a model.

    python -m bench.scaling [--quick] [--json FILE]

A real `rvsense learner` takes pairs of the real size over TCP on loopback from stand-ins for
daemons, which send as an outbox does: so many on their way, the next when one is taken. Each pair
is decoded and encoded by the edge preset's own teacher; nothing is trained meanwhile, so that the
rows are about taking. Four daemons are compared with one, in turn. Bytes are counted on the wire,
by a relay that both ways pass, against the bytes that a pair or a model consists of. Before the
table: what the units of docs/scaling.md cost here.
"""

import time
from dataclasses import asdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from bench.fleet import Fleet, LearnerProcess, Relay, example_pairs
from bench.intake import cpu_s
from bench.sides import Goal, Row, options, report, rounds
from rvsense import link
from rvsense.config import Learning
from rvsense.learner import images, publication
from rvsense.learner.main import build_trainer
from rvsense.learner.trainer import Trainer
from rvsense.link import Pair

DAEMONS = 4
NO_TRAINING = 4096
"""Pairs before which training does not begin: more than are sent here."""
LEARNING = Learning(
    preset="edge", device="cpu", niceness=0, min_pool_pairs=NO_TRAINING, pool_pairs=NO_TRAINING
)
SHARE = Goal("at least", 0.9)
OVERHEAD = Goal("at most", 1.01)


def taking(learner: LearnerProcess, pairs: list[Pair], daemons: int, total: int) -> float:
    """Pairs a second that `daemons` get taken, `total` in all."""
    fleet = Fleet(learner.endpoint, daemons)
    began_s = time.perf_counter()
    fleet.send(pairs, total)
    seconds = time.perf_counter() - began_s
    fleet.close()
    return total / seconds


def payload_bytes(pair: Pair) -> int:
    """What a pair consists of."""
    return pair.heatmap.nbytes + len(pair.image)


def pair_bytes(learner: LearnerProcess, pairs: list[Pair], count: int) -> tuple[float, float]:
    """Bytes a pair on the wire to the learner, and back."""
    relay = Relay(learner.endpoint)
    fleet = Fleet(relay.endpoint, 1)
    up, down = relay.up, relay.down
    fleet.send(pairs, count)
    spent = (relay.up - up) / count, (relay.down - down) / count
    fleet.close()
    relay.close()
    return spent


def model_bytes(learner: LearnerProcess, folder: Path) -> tuple[float, float, float]:
    """Bytes of one fetch on the wire, of the model itself, and the seconds until it has landed."""
    relay = Relay(learner.endpoint)
    fleet = Fleet(relay.endpoint, 1, fetch=True)
    down = relay.down
    found = fleet.fetch(fleet.peers[0], folder)
    if found.outcome != "landed":
        raise RuntimeError(f"the model did not land: {found.detail}")
    spent = float(relay.down - down), float(found.size_bytes), found.seconds
    fleet.close()
    relay.close()
    return spent


def publish_a_model(state_dir: Path, pairs: list[Pair]) -> None:
    """What the edge preset publishes, so that there is something to fetch."""
    trainer = build_trainer(LEARNING, seed=0)
    for pair in pairs:
        trainer.ingest(pair)
    publication.publish(trainer, state_dir / "models", teacher_sha256="", figures={})


def print_units(pairs: list[Pair]) -> None:
    """What a pair costs in this process, part by part."""
    trainer = build_trainer(LEARNING, seed=0)
    seconds = [_parts_s(trainer, pair) for pair in pairs]
    for name in seconds[0]:
        print(f"{1e3 * median(one[name] for one in seconds):8.2f} ms a pair: {name}")
    held = sum(column[0].nbytes for column in trainer.pool.columns.values())
    print(f"{held:8,} bytes a pair in the pool")


def _parts_s(trainer: Trainer, pair: Pair) -> dict[str, float]:
    _, values, payloads = link.unpack([bytes(part) for part in link.pack_pair(pair)])
    marks = [time.perf_counter()]
    link.unpack_pair(values, payloads)
    marks.append(time.perf_counter())
    image = images.decode_image("jpeg", pair.image, None)
    marks.append(time.perf_counter())
    trainer.prepare(pair.heatmap)
    marks.append(time.perf_counter())
    trainer.teacher.key_of(image)
    marks.append(time.perf_counter())
    names = ("unpack", "decode the image", "radar input", "teacher's key")
    return {name: marks[n + 1] - marks[n] for n, name in enumerate(names)}


def main() -> None:
    """Units, then rows."""
    arguments = options(__doc__, "bench.scaling").parse_args()
    total, count = (32, 2) if arguments.quick else (240, 5)
    torch.set_num_threads(1)
    pairs = example_pairs(8)
    print_units(pairs)
    with TemporaryDirectory() as folder:
        state_dir = Path(folder) / "learner"
        publish_a_model(state_dir, pairs)
        settings = asdict(LEARNING) | {"seed": 0}
        learner = LearnerProcess(state_dir, settings)
        try:
            taking(learner, pairs, 1, 16)  # the first pairs find everything cold
            several = rounds(
                count,
                lambda: taking(learner, pairs, DAEMONS, total),
                lambda: taking(learner, pairs, 1, total),
            )
            used_s = cpu_s(learner.process.pid)
            taking(learner, pairs, DAEMONS, total)
            used_s = cpu_s(learner.process.pid) - used_s
            up, down = pair_bytes(learner, pairs, total)
            fetches = [
                model_bytes(learner, Path(folder) / f"daemon{number}") for number in range(count)
            ]
        finally:
            learner.close()
    payload = sum(map(payload_bytes, pairs)) / len(pairs)
    print(
        f"{1e3 * used_s / total:8.2f} ms of processor a pair: {total / used_s:.0f} a second a core"
    )
    print(f"{up:8,.0f} bytes a pair to the learner, {down:,.0f} back")
    print(f"{fetches[0][0]:8,.0f} bytes a model, landed in {1e3 * fetches[0][2]:.0f} ms")
    wire, files = zip(*((spent, size) for spent, size, _ in fetches), strict=True)
    rows = [
        Row("pairs taken, 4 daemons", *several, "pairs/s", "1 daemon", SHARE),
        Row("bytes a pair", (up,), (payload,), "B", "heatmap and JPEG", OVERHEAD),
        Row("bytes a model", wire, files, "B", "its files", OVERHEAD),
    ]
    report(rows, threads="1 for the learner, 1 for the daemons", path=arguments.json)


if __name__ == "__main__":
    main()
