"""The laptop's imagined radar: what moves in the picture is where it would be in the map."""

import math
from itertools import count

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from rvsense.config import Simulate
from rvsense.grids import nearest_cell
from rvsense.replay.devices.imagined import (
    FAR_M,
    FASTEST_M_PER_S,
    NEAR_M,
    Body,
    Imagined,
    body,
    focal_of,
    with_speed,
)
from rvsense.replay.devices.motion import COLUMNS, LEARN_PICTURES, Box, Motion
from rvsense.replay.simulate.camera import WIDTH
from rvsense.replay.simulate.plan import SequencePlan, plan
from rvsense.replay.simulate.scene import Scene

ROWS = 96
Grey = NDArray[np.uint8]


def room(seed: int = 0) -> Grey:
    """A still background."""
    return np.random.default_rng(seed).integers(80, 100, (ROWS, COLUMNS), np.uint8)


def acquainted() -> Motion:
    """A camera that has looked at the empty room for a while."""
    motion = Motion()
    for _ in range(LEARN_PICTURES):
        assert motion.boxes(room()) == []
    return motion


def test_what_moves_is_boxed() -> None:
    """Two things, the larger first, to a column and a row."""
    picture = room()
    picture[20:80, 30:45] = 250
    picture[40:60, 100:108] = 10
    large, small = acquainted().boxes(picture)
    assert [large.left, large.right, large.top, large.bottom] == pytest.approx(
        [30 / COLUMNS, 45 / COLUMNS, 20 / COLUMNS, 80 / COLUMNS], abs=1.5 / COLUMNS
    )
    assert small.centre == pytest.approx(104 / COLUMNS, abs=1 / COLUMNS)


def test_a_lamp_and_noise_do_not_move() -> None:
    """Nor does anything in a picture that is all brighter than before."""
    motion = acquainted()
    assert motion.boxes(room() + np.uint8(60)) == []
    noise = np.random.default_rng(1).integers(-4, 5, (ROWS, COLUMNS))
    assert motion.boxes((room() + noise).astype(np.uint8)) == []


def test_what_stays_becomes_background() -> None:
    """A parked car is no echo for ever."""
    picture = room()
    picture[20:80, 30:45] = 250
    motion = acquainted()
    assert any(motion.boxes(picture) == [] for _ in range(300))


def test_a_box_becomes_a_place() -> None:
    """A person of 1.7 m, half the picture's width tall, at the right edge of 90 degrees."""
    focal = focal_of(90.0)
    assert focal == pytest.approx(0.5)
    person = body(Box(0.95, 1.05, 0.0, 0.5), focal)
    assert person.range_m == pytest.approx(1.7)
    assert not person.car
    assert person.azimuth_rad == pytest.approx(math.pi / 4)
    car = body(Box(0.4, 0.6, 0.3, 0.4), focal)
    assert car.range_m == pytest.approx(7.5)
    assert car.car
    assert car.width_m == pytest.approx(3.0)
    assert body(Box(0.4, 0.41, 0.3, 0.301), focal).range_m == FAR_M
    assert body(Box(0.0, 1.0, 0.0, 1.0), focal).range_m == NEAR_M


def test_speed_is_that_of_the_nearest_and_bounded() -> None:
    """What comes nearer has a negative one; a jump of the box is no jump of the body."""
    near, far = Body(6.0, 0.1, 0.5, 1.7, 0.0, False), Body(9.0, -0.6, 0.5, 1.7, 0.0, False)
    now = Body(5.0, 0.12, 0.5, 1.7, 0.0, False)
    moved = with_speed(now, [far, near], 0.1)
    assert moved.range_m == pytest.approx(5.7)
    assert -FASTEST_M_PER_S < moved.speed_m_per_s < 0
    assert with_speed(now, [near], 1e-3).speed_m_per_s == -FASTEST_M_PER_S
    assert with_speed(now, [far], 0.1) == now
    assert with_speed(now, [], 0.1) == now


@pytest.mark.parametrize(("range_m", "azimuth_rad"), [(4.0, -0.4), (8.0, 0.3), (14.0, 0.0)])
def test_an_echo_is_where_the_body_is(range_m: float, azimuth_rad: float) -> None:
    """The map with it against the map without: the change is at its cell."""
    there = [Body(range_m, azimuth_rad, 0.5, 1.7, 0.0, False)]
    quiet, busy = Imagined(3).heatmap([], 0.0), Imagined(3).heatmap(there, 0.0)
    assert busy.shape == (4, 128, 128, 2)
    change = np.hypot(*np.moveaxis(busy - quiet, -1, 0))[0]
    row, column = np.unravel_index(change.argmax(), change.shape)
    wanted = nearest_cell(range_m, azimuth_rad)
    assert abs(row - wanted[0]) <= 3
    assert abs(column - wanted[1]) <= 6


def walk() -> tuple[SequencePlan, Simulate]:
    """A sequence of the simulator with one pedestrian."""
    settings = Simulate(sequences=20, frames=90, sites=1, seed=1)
    plans = [one for one in plan(settings) if one.content == "pedestrian"]
    return plans[1], settings


def test_a_pedestrian_of_the_simulator_is_found_where_it_is() -> None:
    """Its camera's picture alone gives azimuth and, roughly, range of the truth."""
    one, settings = walk()
    scene = Scene(one, settings.seed, settings.frames)
    motion, focal = Motion(), scene.place.site.camera.fx / WIDTH
    small = (COLUMNS, ROWS)
    empty = scene.place.backdrop.lit(scene.light).astype(np.uint8)
    for _ in range(LEARN_PICTURES):
        motion.boxes(np.asarray(Image.fromarray(empty).convert("L").resize(small)))
    azimuths, ranges, before = [], [], list[Body]()
    for nth, picture in zip(count(), scene.pictures(), strict=False):
        (truth,) = scene.radar(nth)[1]
        if nth % 6:
            continue
        boxes = motion.boxes(np.asarray(Image.fromarray(picture).convert("L").resize(small)))
        before = [with_speed(body(box, focal), before, 0.2) for box in boxes]
        if before:
            azimuths.append(abs(before[0].azimuth_rad - truth.azimuth_rad))
            ranges.append(abs(before[0].range_m / truth.range_m - 1.0))
    assert len(azimuths) >= 10
    assert np.median(azimuths) < 0.03
    assert np.median(ranges) < 0.2
