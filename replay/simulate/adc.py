"""Echoes to ADC samples: beat tones on eight virtual antennas, then the receiver's own faults.

A point at range R and direction cosine u = x/R gives A exp j(4 pi R/lambda + pi u k + 2 pi f n)
on antenna k and sample n; R is taken anew for every chirp of either transmitter, so Doppler
between chirps and the uncompensated TDM phase come out of the geometry. Amplitude falls as R^-2.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rvsense.replay.dsp import ANTENNAS, CRUW_FORMAT_1, RECEIVERS, TRANSMITTERS, Complex, Profile
from rvsense.replay.simulate.scatterers import Echoes

Array = npt.NDArray[np.float64]

CHIRPS = (0, 64, 128, 192)
"""The chirp pairs of a frame's 255 that ROD2021 keeps."""

GAIN_LSB_M = 330.0
"""Amplitude of 1 m² at 1 m: puts a person at 3.6 m near 1 in the map, as in CRUW."""
NOISE_LSB = 5.5
DC_LSB = 30.0
HIGH_PASS_HZ = (175e3, 350e3)
CHUNK = 32
"""Scatterers a product: with more, BLAS takes several threads and the last bit depends on them."""


def chirp_times_s(profile: Profile = CRUW_FORMAT_1) -> Array:
    """Start of every kept chirp in the frame, transmitter fastest: (chirps * 2,)."""
    first = np.array(CHIRPS, dtype=np.float64)[:, None] * profile.pair_s
    return (first + np.arange(TRANSMITTERS) * profile.chirp_s).ravel()


def high_pass(beat_hz: Array) -> npt.NDArray[np.complex128]:
    """The receiver's two-stage high-pass at each beat frequency."""
    response = np.ones(beat_hz.shape, dtype=np.complex128)
    for corner in HIGH_PASS_HZ:
        response = response * (1j * beat_hz / (corner + 1j * beat_hz))
    return response


def tones(
    seen: Echoes, height_m: float, gain_lsb_m: float = GAIN_LSB_M, profile: Profile = CRUW_FORMAT_1
) -> Complex:
    """ADC contribution of scatterers, (chirps, 8, samples); `height_m` is the radar's own."""
    points_m, gain = seen.points_m, seen.strength_m * gain_lsb_m
    offset = points_m - np.array([0.0, 0.0, height_m])
    ranges = np.maximum(np.linalg.norm(offset, axis=-1), 0.3)
    sine = offset[..., 0] / ranges
    # A patch antenna sees less to the sides, on the way out and on the way back.
    pattern = np.maximum(1.0 - sine**2, 0.0) ** 0.6
    beat = profile.beat_hz(ranges)
    visible = beat < profile.sample_rate_hz
    amplitude = gain * pattern / ranges**2 * high_pass(beat) * visible
    amplitude = amplitude * np.exp(1j * (4.0 * np.pi / profile.wavelength_m * ranges % (2 * np.pi)))
    chirps = len(CHIRPS)
    receivers = np.arange(RECEIVERS)
    transmitters = np.tile(np.arange(TRANSMITTERS) * RECEIVERS, chirps)
    antenna = transmitters[:, None] + receivers
    steering = np.exp(1j * np.pi * sine[:, None, :] * antenna[:, :, None])
    rows = (amplitude[:, None, :] * steering).reshape(chirps, ANTENNAS, -1).astype(np.complex64)
    step = 2.0 * np.pi * beat[::TRANSMITTERS] / profile.sample_rate_hz
    waves = _phasors(step, profile.samples)
    total = np.zeros((chirps, ANTENNAS, profile.samples), dtype=np.complex64)
    for start in range(0, len(gain), CHUNK):
        part = slice(start, start + CHUNK)
        total += rows[..., part] @ waves[:, part]
    return total


def _phasors(step: Array, samples: int) -> Complex:
    """exp(j step n) for n < samples, (..., samples), from two short tables."""
    coarse = np.exp(1j * step[..., None] * (16 * np.arange(samples // 16))).astype(np.complex64)
    fine = np.exp(1j * step[..., None] * np.arange(16)).astype(np.complex64)
    table: Complex = coarse[..., :, None] * fine[..., None, :]
    return table.reshape(*step.shape, samples)


def receive(
    parts: Sequence[Complex],
    dc_lsb: Complex,
    rng: np.random.Generator,
    noise_lsb: float = NOISE_LSB,
) -> Complex:
    """Sum of all contributions as int16 samples, (chirps, 8, samples), with noise and DC (8,)."""
    total = np.zeros(parts[0].shape, dtype=np.complex64) + dc_lsb[None, :, None]
    for part in parts:
        total = total + part
    planes = total.view(np.float32)
    planes += rng.standard_normal(planes.shape, dtype=np.float32) * np.float32(noise_lsb)
    np.clip(np.rint(planes, out=planes), -32768, 32767, out=planes)
    return total
