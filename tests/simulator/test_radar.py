from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from rvsense.grids import nearest_cell
from rvsense.replay.dsp import CRUW_FORMAT_1, range_azimuth
from rvsense.replay.simulate.adc import NOISE_LSB, chirp_times_s, receive, tones
from rvsense.replay.simulate.scatterers import Echoes, echoes
from rvsense.replay.simulate.scene import Scene

HEIGHT_M = 1.1
NO_DC = np.zeros(8, np.complex64)


def point(range_m: float, azimuth_rad: float, speed_m_s: float = 0.0) -> Echoes:
    """One echo at the radar's own height that moves straight away from it."""
    ranges = range_m + speed_m_s * chirp_times_s()
    ground = np.stack([ranges * np.sin(azimuth_rad), ranges * np.cos(azimuth_rad)], axis=-1)
    points = np.concatenate([ground, np.full((8, 1), HEIGHT_M)], axis=1)
    return Echoes(points[:, None, :], np.array([60.0]))


def magnitudes(scene: Scene, frame: int) -> npt.NDArray[np.float64]:
    """|x| of the four chirps of a frame: (4, 128, 128)."""
    planes, _ = scene.radar(frame)
    return np.hypot(planes[..., 0], planes[..., 1])


@pytest.mark.parametrize("azimuth_deg", [-55, -20, 0, 31, 58])
@pytest.mark.parametrize("range_m", [3.0, 8.7, 17.2, 24.5])
def test_a_lone_target_peaks_at_its_label(range_m: float, azimuth_deg: float) -> None:
    """A strong point shows within a cell of where the annotation grid puts it."""
    azimuth = float(np.deg2rad(azimuth_deg))
    rng = np.random.default_rng(0)
    cube = receive([tones(point(range_m, azimuth), HEIGHT_M)], NO_DC, rng)
    maps = np.abs(range_azimuth(cube)[0])
    row, column = np.unravel_index(maps.argmax(), maps.shape)
    wanted = nearest_cell(range_m, azimuth)
    assert abs(row - wanted[0]) <= 1
    assert abs(column - wanted[1]) <= 1


def test_doppler_turns_the_phase_between_chirps() -> None:
    """A point at 1.5 m/s turns by 4 pi v T / lambda over 7.68 ms and over a TDM slot."""
    speed = 1.5
    cube = tones(point(10.0, 0.0, speed), HEIGHT_M)
    wave = 4 * np.pi * speed / CRUW_FORMAT_1.wavelength_m
    chirps = np.angle(cube[1, 0, 0] * np.conj(cube[0, 0, 0]) * np.exp(-1j * wave * 7.68e-3))
    slot = np.angle(cube[0, 4, 0] * np.conj(cube[0, 3, 0]) * np.exp(-1j * wave * 60e-6))
    assert chirps == pytest.approx(0.0, abs=0.02)
    assert slot == pytest.approx(0.0, abs=0.02)


def test_echoes_fade_with_the_square_of_range() -> None:
    """Twice as far is a quarter of the amplitude once the high-pass is behind."""
    near, far = (np.abs(tones(point(r, 0.0), HEIGHT_M)).max() for r in (12.0, 24.0))
    assert near / far == pytest.approx(4.0, rel=0.05)


def test_receiver_noise_is_that_of_the_real_one() -> None:
    """5.5 LSB of ADC noise give .0117 per component in the map, as measured on CRUW."""
    silence = np.zeros((4, 8, 128), np.complex64)
    cube = receive([silence], NO_DC, np.random.default_rng(3))
    assert NOISE_LSB == 5.5
    assert range_azimuth(cube).view(np.float32).std() == pytest.approx(0.0117, rel=0.05)


def test_samples_are_int16() -> None:
    """The receiver rounds and clips as a 16-bit converter does."""
    loud = np.full((4, 8, 128), 1e6 + 0.3j, np.complex64)
    cube = receive([loud], NO_DC, np.random.default_rng(0))
    assert cube.real.max() == 32767
    assert np.array_equal(cube.imag, np.rint(cube.imag))


def test_statistics_lie_where_real_ones_lie(
    make_scene: Callable[[str, int], Scene],
) -> None:
    """Typical values of a frame stay inside the ranges measured on decoded CRUW frames."""
    rows = []
    for index, content in enumerate(["empty", "pedestrian", "cyclist", "car"] * 4):
        size = magnitudes(make_scene(content, index), 0)[0]
        p50, p90, p99, p999, top = np.percentile(size, [50, 90, 99, 99.9, 100])
        rows.append([np.sqrt((size**2).mean() / 2), size.mean(), p50, p90, p99, p999, top])
    middle = np.median(rows, axis=0)
    ranges = {
        "component std": (0.02, 0.065),
        "mean": (0.023, 0.037),
        "median": (0.0196, 0.0275),
        "p90": (0.043, 0.075),
        "p99": (0.106, 0.295),
        "p99.9": (0.21, 0.98),
        "max": (0.25, 2.0),
    }
    for (name, (low, high)), value in zip(ranges.items(), middle, strict=True):
        assert low <= value <= high, f"{name} is {value:.4f}"


def test_chirps_agree_in_size_and_part_in_phase_when_something_moves(
    make_scene: Callable[[str, int], Scene],
) -> None:
    """Magnitudes correlate as in CRUW (.86-.89); movers cost complex correlation, clutter none."""

    def correlations(content: str) -> tuple[float, float]:
        sizes, phases = [], []
        for index in range(6):
            planes, _ = make_scene(content, 100 + index).radar(0)
            maps = (planes[..., 0] + 1j * planes[..., 1]).reshape(4, -1)
            for other in maps[1:]:
                sizes.append(np.corrcoef(np.abs(maps[0]), np.abs(other))[0, 1])
                norm = np.linalg.norm(maps[0]) * np.linalg.norm(other)
                phases.append(np.abs(np.vdot(maps[0], other)) / norm)
        return float(np.median(sizes)), float(np.mean(phases))

    still_size, still_phase = correlations("empty")
    moving_size, moving_phase = correlations("cyclist")
    assert 0.78 <= still_size <= 0.95
    assert 0.78 <= moving_size <= 0.95
    assert moving_phase < still_phase


@pytest.mark.parametrize(
    ("content", "rows", "columns"), [("pedestrian", 3, 6), ("cyclist", 5, 10), ("car", 11, 30)]
)
def test_objects_echo_from_where_they_are_labelled(
    make_scene: Callable[[str, int], Scene], content: str, rows: int, columns: int
) -> None:
    """Without clutter the strongest cell lies within the object's extent around its label."""
    checked = 0
    for index in range(8):
        scene = make_scene(content, 200 + index)
        _, truths = scene.radar(0)
        if not truths:
            continue
        actor = scene.actors[0]
        seen = echoes(actor, actor.pose(chirp_times_s()))
        maps = np.abs(range_azimuth(tones(seen, scene.place.site.radar_height_m))[0])
        peak = np.unravel_index(maps.argmax(), maps.shape)
        label = nearest_cell(truths[0].range_m, truths[0].azimuth_rad)
        assert abs(peak[0] - label[0]) <= rows
        assert abs(peak[1] - label[1]) <= columns
        checked += 1
    assert checked >= 5


def test_clutter_belongs_to_the_site(make_scene: Callable[[str, int], Scene]) -> None:
    """Two sequences of one site have the same still echoes; another site has others."""
    maps = []
    for index in (300, 301):
        planes, truths = make_scene("empty", index).radar(0)
        assert truths == []
        maps.append((planes[0, ..., 0] + 1j * planes[0, ..., 1]).ravel())
    same = np.abs(np.vdot(*maps)) / np.prod([np.linalg.norm(m) for m in maps])
    assert same > 0.7
    scene = make_scene("empty", 300)
    assert scene.place.clutter is make_scene("empty", 301).place.clutter


def test_an_engine_at_idle_moves_less_than_a_walker(
    make_scene: Callable[[str, int], Scene],
) -> None:
    """The hum of a standing car stays far below the wavelength."""
    scene = make_scene("car", 400)
    idle = replace(scene.actors[0], engine_hum_m=1.5e-4)
    pose = idle.pose(np.linspace(0.0, 0.04, 50))
    plain = scene.actors[0].path.pose(pose.time_s)
    assert 0 < np.abs(pose.x_m - plain.x_m).max() < CRUW_FORMAT_1.wavelength_m / 10
