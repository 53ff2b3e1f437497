import numpy as np
import numpy.typing as npt
import pytest

from rvsense.grids import nearest_cell, range_grid_m
from rvsense.replay.dsp import (
    CRUW_FORMAT_1,
    cube_from_dca1000,
    hann_window,
    range_azimuth,
    taylor_window,
    to_planes,
)


def tone(range_m: float, sine: float, amplitude: float = 1.0) -> npt.NDArray[np.complex128]:
    """An ideal echo on the eight antennas: (1, 8, 128)."""
    sample = np.arange(128) / CRUW_FORMAT_1.sample_rate_hz
    beat = np.exp(2j * np.pi * float(CRUW_FORMAT_1.beat_hz(range_m)) * sample)
    steering = np.exp(1j * np.pi * sine * np.arange(8))
    echo: npt.NDArray[np.complex128] = amplitude * (steering[:, None] * beat)[None]
    return echo


def width_3db(profile: npt.NDArray[np.floating[npt.NBitBase]]) -> float:
    """Width of the main lobe at half power, in samples, between interpolated crossings."""
    power = profile / profile.max()
    above = np.flatnonzero(power >= np.sqrt(0.5))
    first, last = above[0], above[-1]
    left = first - (power[first] - np.sqrt(0.5)) / (power[first] - power[first - 1])
    right = last + (power[last] - np.sqrt(0.5)) / (power[last] - power[last + 1])
    return float(right - left)


def test_taylor_window_is_matlabs() -> None:
    """The weights are those of taylorwin(8): four side lobes at -30 dB, sum 8."""
    window = taylor_window()
    assert window[:4] == pytest.approx([0.4353, 0.8024, 1.2423, 1.5201], abs=1e-4)
    assert window == pytest.approx(window[::-1])
    assert window.sum() == pytest.approx(8.0)


def test_hann_window_has_no_zero_ends() -> None:
    """MATLAB's hanning drops the zeros that numpy's keeps; its sum is 64.5."""
    window = hann_window(128)
    assert window[0] > 0
    assert window.sum() == pytest.approx(64.5, rel=1e-5)


@pytest.mark.parametrize("row", [2, 20, 84, 114])
@pytest.mark.parametrize("column", [20, 64, 101])
def test_an_echo_peaks_in_its_cell(row: int, column: int) -> None:
    """Range and direction come out in the row and column that the transform says."""
    maps = np.abs(range_azimuth(tone(range_grid_m()[row], (column - 64) / 64))[0])
    assert np.unravel_index(maps.argmax(), maps.shape) == (row, column)


def test_the_peak_is_the_tone_times_the_chains_gain() -> None:
    """1 LSB of ADC amplitude is 64.5 x 8 / 1e4 in the map."""
    maps = np.abs(range_azimuth(tone(range_grid_m()[40], 0.0, 10.0)))
    assert maps.max() == pytest.approx(10 * 64.5 * 8 / 1e4, rel=1e-3)


def test_lobes_are_as_wide_as_in_the_real_data() -> None:
    """-3 dB widths measured on CRUW: 18.1-19.2 columns and 1.49-1.56 rows."""
    fine = range_grid_m()[60]
    maps = np.abs(range_azimuth(tone(fine, 0.0))[0])
    assert 17.9 <= width_3db(maps[60]) <= 19.2
    steps = np.arange(-30, 31) / 10
    cell = range_grid_m()[1] - range_grid_m()[0]
    sweep = np.array([np.abs(range_azimuth(tone(fine + s * cell, 0.0))[0, 60, 64]) for s in steps])
    assert 1.45 <= width_3db(sweep) / 10 <= 1.6


def test_only_eight_antennas_stand_behind_a_map() -> None:
    """Back-transformed over azimuth, a map is zero beyond the eighth of 128 antennas."""
    rng = np.random.default_rng(0)
    cube = rng.normal(size=(4, 8, 128)) + 1j * rng.normal(size=(4, 8, 128))
    maps = range_azimuth(cube)
    antennas = np.abs(np.fft.ifft(np.fft.ifftshift(maps, axes=-1), axis=-1))
    assert antennas[..., 8:].max() < 1e-6 * antennas.max()


def test_stored_form_is_real_then_imaginary() -> None:
    """The last axis holds real and imaginary part as float32 in C order."""
    maps = range_azimuth(tone(9.0, 0.3))
    planes = to_planes(maps)
    assert planes.shape == (1, 128, 128, 2)
    assert planes.dtype == np.float32
    assert planes.flags.c_contiguous
    assert np.array_equal(planes[..., 0] + 1j * planes[..., 1], maps)


def test_dca1000_words_become_the_cube_they_were() -> None:
    """Lanes I, I, Q, Q and alternating transmitters unpack to [pair, antenna, sample]."""
    rng = np.random.default_rng(1)
    real, imag = rng.integers(-2000, 2000, (2, 3, 8, 128)).astype(np.int16)
    words = np.stack([real.reshape(-1, 2), imag.reshape(-1, 2)], axis=1).reshape(-1)
    assert np.array_equal(cube_from_dca1000(words), real + 1j * imag)


def test_wrong_shapes_are_refused_by_name() -> None:
    """A cube or a capture that does not fit says what was expected."""
    with pytest.raises(ValueError, match="expected \\(chirps, 8, 128\\)"):
        range_azimuth(np.zeros((4, 7, 128), complex))
    with pytest.raises(ValueError, match="multiple of 2048"):
        cube_from_dca1000(np.zeros(2047, np.int16))


def test_the_devkits_worked_example() -> None:
    """5 m at 30 degrees is cell (20, 95), and an echo from there peaks within one cell."""
    assert nearest_cell(5.0, np.deg2rad(30.0)) == (20, 95)
    maps = np.abs(range_azimuth(tone(5.0, 0.5))[0])
    row, column = np.unravel_index(maps.argmax(), maps.shape)
    assert abs(row - 20) <= 1
    assert abs(column - 95) <= 1
