"""From ADC samples to CRUW's range-azimuth arrays: the chain that made the dataset, in numpy.

Hann over the samples, FFT-134 (zero padded), Taylor over the eight virtual antennas, FFT-128,
fftshift, range bins 3..130, division by 1e4. No Doppler compensation between the transmitters,
no clutter removal, no calibration (source: the CRUW authors' heat map code, RA format 1).

A chirp profile whose bins lie elsewhere is evaluated at CRUW's ranges all the same, by a plain
Fourier sum over as many samples as span CRUW's bandwidth: what is learned and shown further on
knows one range grid (`rvsense.grids`) and one sharpness.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rvsense.grids import RANGE_STEP_M, range_grid_m

SPEED_OF_LIGHT_M_PER_S = 299_792_458.0
TRANSMITTERS = 2
RECEIVERS = 4
ANTENNAS = TRANSMITTERS * RECEIVERS
CRUW_SWEEP_HZ = 128 / 4e6 * 21.0017e12
"""Bandwidth of a CRUW chirp while it is sampled: an echo is as sharp as this is wide."""

Complex = npt.NDArray[np.complex64]


@dataclass(frozen=True)
class Profile:
    """One chirp profile of the radar; the defaults are CRUW's format 1 (spring 2019)."""

    carrier_hz: float = 77e9
    slope_hz_per_s: float = 21.0017e12
    sample_rate_hz: float = 4e6
    samples: int = 128
    chirp_s: float = 60e-6
    range_fft: int = 134
    azimuth_fft: int = 128
    first_range_bin: int = 3
    range_bins: int = 128
    full_scale: float = 1e4

    @property
    def wavelength_m(self) -> float:
        """Wavelength at the start of the chirp."""
        return SPEED_OF_LIGHT_M_PER_S / self.carrier_hz

    @property
    def pair_s(self) -> float:
        """Time between two chirps of the same transmitter (TDM)."""
        return TRANSMITTERS * self.chirp_s

    @property
    def samples_used(self) -> int:
        """Samples that span CRUW's bandwidth, 672 MHz; all there are where they span less."""
        return min(self.samples, round(CRUW_SWEEP_HZ * self.sample_rate_hz / self.slope_hz_per_s))

    @property
    def on_cruw_bins(self) -> bool:
        """Whether the bins of a `range_fft` are CRUW's rows."""
        step_m = self.sample_rate_hz / self.range_fft / float(self.beat_hz(1.0))
        return abs(step_m / RANGE_STEP_M - 1.0) < 1e-6

    def beat_hz(self, range_m: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Beat frequency of an echo from `range_m`."""
        scale = 2.0 * self.slope_hz_per_s / SPEED_OF_LIGHT_M_PER_S
        return np.asarray(range_m, dtype=np.float64) * scale


CRUW_FORMAT_1 = Profile()


def hann_window(samples: int) -> npt.NDArray[np.float32]:
    """MATLAB's `hanning`: no zeros at the ends. Returns (samples,)."""
    k = np.arange(1, samples + 1)
    return (0.5 * (1.0 - np.cos(2.0 * np.pi * k / (samples + 1)))).astype(np.float32)


def taylor_window(
    antennas: int = ANTENNAS, nbar: int = 4, sidelobe_db: float = 30.0
) -> npt.NDArray[np.float32]:
    """MATLAB's `taylorwin`: mean 1, not peak 1 (Carrara et al. 1995). Returns (antennas,)."""
    a = np.arccosh(10.0 ** (sidelobe_db / 20.0)) / np.pi
    stretch = nbar**2 / (a**2 + (nbar - 0.5) ** 2)
    orders = np.arange(1, nbar, dtype=np.float64)
    position = (np.arange(antennas) - (antennas - 1) / 2.0) / antennas
    window = np.ones(antennas)
    for m in orders:
        numerator = np.prod(1.0 - m**2 / stretch / (a**2 + (orders - 0.5) ** 2))
        others = orders[orders != m]
        denominator = 2.0 * np.prod(1.0 - m**2 / others**2)
        window += (
            2.0 * (-1.0) ** (m + 1) * numerator / denominator * np.cos(2.0 * np.pi * m * position)
        )
    return window.astype(np.float32)


def range_azimuth(
    cube: npt.NDArray[np.complexfloating], profile: Profile = CRUW_FORMAT_1
) -> Complex:
    """ADC cube to complex range-azimuth maps, one per chirp.

    cube: (chirps, 8, samples) complex, LSB; antennas transmitter-major (Tx0 Rx0..3, Tx1 Rx0..3).
    Returns (chirps, 128, 128) complex64: range row 0 nearest, azimuth column 0 at the far left.
    """
    if cube.ndim != 3 or cube.shape[1:] != (ANTENNAS, profile.samples):
        raise ValueError(
            f"ADC cube has shape {cube.shape}, expected (chirps, {ANTENNAS}, {profile.samples})"
        )
    used = profile.samples_used
    windowed = cube[..., :used].astype(np.complex64, copy=False) * hann_window(used)
    echoes = _at_ranges(windowed, profile).swapaxes(1, 2) * taylor_window()
    maps = np.fft.fft(echoes, profile.azimuth_fft, axis=-1)
    shifted = np.fft.fftshift(maps, axes=-1) / profile.full_scale
    return np.ascontiguousarray(shifted, dtype=np.complex64)


def _at_ranges(windowed: Complex, profile: Profile) -> npt.NDArray[np.complexfloating]:
    """(..., samples used) to (..., rows): how much beats as each of CRUW's ranges does."""
    if not profile.on_cruw_bins:
        return windowed @ _fourier_sum(profile)
    spectrum = np.fft.fft(windowed, profile.range_fft, axis=-1)
    return spectrum[..., profile.first_range_bin : profile.first_range_bin + profile.range_bins]


@lru_cache(maxsize=4)
def _fourier_sum(profile: Profile) -> Complex:
    """(samples used, 128): the transform at CRUW's ranges, echoes as strong as in CRUW."""
    cycles = profile.beat_hz(range_grid_m()) / profile.sample_rate_hz
    used = profile.samples_used
    turns = np.arange(used)[:, None] * cycles
    gain = hann_window(CRUW_FORMAT_1.samples).sum() / hann_window(used).sum()
    transform: Complex = (gain * np.exp(-2j * np.pi * turns)).astype(np.complex64)
    return transform


def to_planes(maps: Complex) -> npt.NDArray[np.float32]:
    """Complex maps (..., 128, 128) to CRUW's stored form (..., 128, 128, 2): real, imaginary."""
    return np.ascontiguousarray(maps).view(np.float32).reshape(*maps.shape, 2)


def cube_from_dca1000(words: npt.NDArray[np.int16], profile: Profile = CRUW_FORMAT_1) -> Complex:
    """Int16 words as a DCA1000 sends them (two lanes: I, I, Q, Q) to an ADC cube.

    words: (n,) with n = pairs * 2 transmitters * 4 receivers * samples * 2; within a chirp the
    receivers follow one another, chirps alternate between the transmitters.
    Returns (pairs, 8, samples) complex64 with pair k at k * `pair_s` in the frame.
    """
    per_pair = 2 * ANTENNAS * profile.samples
    if words.ndim != 1 or words.size == 0 or words.size % per_pair:
        raise ValueError(f"{words.size} ADC words are not a multiple of {per_pair} (one TDM pair)")
    groups = words.reshape(-1, 4).astype(np.float32)
    samples = (groups[:, :2] + 1j * groups[:, 2:]).astype(np.complex64)
    return samples.reshape(-1, ANTENNAS, profile.samples)


def dca1000_from_cube(cube: Complex) -> npt.NDArray[np.int16]:
    """The inverse: an ADC cube of whole numbers as the words of a DCA1000, (n,) int16."""
    pairs = cube.reshape(-1, 2)
    words = np.concatenate([pairs.real, pairs.imag], axis=1)
    return words.astype("<i2").reshape(-1)
