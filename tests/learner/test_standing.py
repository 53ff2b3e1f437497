"""What always stands in view is background; who passes, or waits, is not."""

import torch

from rvsense.learner.detector.boxes import Boxes
from rvsense.learner.detector.scene import KINDS
from rvsense.learner.detector.standing import MOST_BOXES, MOST_SITES, Standing

VAN = (600.0, 200.0, 800.0, 320.0)


def boxes(*rows: tuple[str, float, tuple[float, float, float, float]]) -> Boxes:
    """Boxes from (kind, score, corners)."""
    corners = torch.tensor([row[2] for row in rows]).reshape(-1, 4).float()
    kinds = torch.tensor([KINDS.index(row[0]) for row in rows]).long()
    return Boxes(corners, torch.tensor([row[1] for row in rows]).float(), kinds)


def looks(standing: Standing, found: Boxes, times: int, site: str = "north") -> list[int]:
    """How many boxes are left of each of so many looks."""
    return [len(standing.without(site, found)) for _ in range(times)]


def test_a_parked_car_becomes_background() -> None:
    """After more than so many looks; at another site it is new."""
    standing = Standing(3, sure=0.5)
    van = boxes(("truck", 0.6, VAN))
    assert looks(standing, van, 6) == [1, 1, 1, 1, 0, 0]
    assert looks(standing, van, 1, site="south") == [1]


def test_what_moves_stays() -> None:
    """A car that goes a third of its length between two looks is never background."""
    standing = Standing(3, sure=0.5)
    for i in range(30):
        there = (10.0 + 70 * i, 200.0, 210.0 + 70 * i, 320.0)
        assert len(standing.without("north", boxes(("car", 0.8, there)))) == 1


def test_a_sure_person_is_never_background() -> None:
    """Who waits stays; a traffic cone that is a person to some degree does not."""
    standing = Standing(3, sure=0.5)
    waiting, cone = (10.0, 10.0, 40.0, 90.0), (200.0, 10.0, 220.0, 60.0)
    both = boxes(("person", 0.8, waiting), ("person", 0.4, cone))
    assert looks(standing, both, 8)[-1] == 1
    assert standing.without("north", both).scores.tolist() == both.scores[:1].tolist()


def test_a_car_that_leaves_is_forgotten() -> None:
    """As many looks without it as it had counted, and the next car there is a car."""
    standing = Standing(3, sure=0.5)
    van = boxes(("car", 0.8, VAN))
    looks(standing, van, 20)
    looks(standing, boxes(), 2)
    assert looks(standing, van, 1) == [0]  # hidden for a moment
    looks(standing, boxes(), 6)
    assert looks(standing, van, 1) == [1]


def test_zero_is_off() -> None:
    """Nothing is remembered."""
    standing = Standing(0, sure=0.5)
    assert looks(standing, boxes(("car", 0.8, VAN)), 50)[-1] == 1
    assert len(standing.state()["facts"]) == 0


def test_the_memory_is_bounded() -> None:
    """In boxes of a site, the most steady staying, and in sites, the oldest leaving."""
    standing = Standing(3, sure=0.5)
    van = boxes(("car", 0.8, VAN))
    looks(standing, van, 3)
    for i in range(3):
        spots = [(20.0 * j, 400.0 + 20 * i, 20.0 * j + 9, 409.0 + 20 * i) for j in range(40)]
        crowd = boxes(("car", 0.8, VAN), *(("car", 0.3, spot) for spot in spots))
        standing.without("north", crowd)
    assert len(standing.state()["facts"]) == MOST_BOXES
    assert len(standing.without("north", van)) == 0
    for i in range(MOST_SITES + 5):
        standing.without(f"site-{i}", van)
    assert len(standing.state()["facts"]) == MOST_SITES


def test_the_memory_survives_a_checkpoint() -> None:
    """Two sites, saved and loaded: the next looks are the same."""
    first, second = Standing(3, sure=0.5), Standing(3, sure=0.5)
    van, car = boxes(("car", 0.8, VAN)), boxes(("car", 0.8, (0.0, 0.0, 90.0, 40.0)))
    looks(first, van, 4)
    looks(first, car, 2, site="south")
    second.load({key: value.clone() for key, value in first.state().items()})
    for standing in (first, second):
        assert looks(standing, van, 2) == [0, 0]
        assert looks(standing, car, 4, site="south") == [1, 1, 0, 0]
    for key, value in first.state().items():
        assert torch.equal(value, second.state()[key])
