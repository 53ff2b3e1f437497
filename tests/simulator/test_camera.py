from collections.abc import Callable

import numpy as np
import pytest

from rvsense.replay.simulate.camera import HEIGHT, WIDTH, Camera, calibration_yaml
from rvsense.replay.simulate.draw import View
from rvsense.replay.simulate.scene import DRAW, Scene

CAMERA = Camera(850.0, 850.0, 715.0, 540.0, 2.5, 0.12)


def test_the_ground_under_a_pixel_projects_back_to_it() -> None:
    """Ground lookup and projection are inverse to one another."""
    x, y, is_ground = CAMERA.ground()
    for row, column in ((800, 100), (600, 1300), (520, 715)):
        assert is_ground[row, column]
        pixel, _ = CAMERA.project(np.array([x[row, column], y[row, column], 0.0]))
        assert pixel == pytest.approx([column + 0.5, row + 0.5], abs=1e-6)


def test_right_is_right_and_up_is_up() -> None:
    """Positive azimuth lands right of the centre, higher points land higher."""
    ahead, right, above = (
        CAMERA.project(np.array(p))[0] for p in ([0, 10, 0], [3, 10, 0], [0, 10, 1.7])
    )
    assert right[0] > ahead[0]
    assert above[1] < ahead[1]
    assert CAMERA.horizon_row == pytest.approx(CAMERA.project(np.array([0, 1e7, 0]))[0][1], abs=0.1)


@pytest.mark.parametrize("content", ["pedestrian", "cyclist", "car"])
def test_objects_are_drawn_where_they_stand(
    make_scene: Callable[[str, int], Scene], content: str
) -> None:
    """What differs from the empty picture surrounds the projection of the object's middle."""
    checked = 0
    for index in range(500, 508):
        scene = make_scene(content, index)
        actor = scene.actors[0]
        pose = actor.pose(np.array([0.0]))
        camera = scene.place.site.camera
        middle = np.array([pose.x_m[0], pose.y_m[0], 0.5 * actor.height_m])
        (u, v), depth = camera.project(middle)
        if not (60 < u < WIDTH - 60 and 60 < v < HEIGHT - 60):
            continue
        empty = scene.place.backdrop.lit(scene.light)
        drawn = empty.copy()
        DRAW[content](drawn, View(camera, scene.light), actor, pose)
        changed = np.abs(drawn.astype(int) - empty).max(axis=2) > 12
        pixels_per_m = camera.fx / depth
        near = changed[
            int(v - 0.2 * pixels_per_m) : int(v + 0.2 * pixels_per_m) + 1,
            int(u - 0.3 * pixels_per_m) : int(u + 0.3 * pixels_per_m) + 1,
        ]
        assert near.mean() > 0.2
        above = changed[: max(0, int(v - 1.4 * pixels_per_m))]
        assert not above.any()
        checked += 1
    assert checked >= 4


def test_an_empty_scene_is_the_backdrop(make_scene: Callable[[str, int], Scene]) -> None:
    """With nobody there only sensor noise lies over the site's picture."""
    scene = make_scene("empty", 600)
    picture = next(scene.pictures()).astype(int)
    plain = scene.place.backdrop.lit(scene.light).astype(int)
    assert np.abs(picture - plain).mean() < 2 * scene.light.noise
    assert picture.shape == (864, 1440, 3)


def test_calibration_names_the_cameras_matrix() -> None:
    """The YAML holds the intrinsics in ROS camera_info form."""
    text = calibration_yaml(CAMERA, "cam_0")
    assert "image_width: 1440" in text
    matrix = "850.000000, 0.000000, 715.000000, 0.000000, 850.000000, 540.000000"
    assert f"camera_matrix:\n  rows: 3\n  cols: 3\n  data: [{matrix}" in text
    assert "distortion_model: plumb_bob" in text
