"""The out-of-distribution score: its three parts against plain formulas, and what each finds."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from rvsense.familiar import (
    BEAM_NUMBERS,
    DOUBT_WEIGHT,
    LAGS,
    Familiarity,
    Yardstick,
    beam_numbers,
)
from rvsense.learner.familiarfit import fit_familiarity
from rvsense.replay.dsp import taylor_window

UNIT = Yardstick(0.0, 1.0)


def known(reference: Tensor, k: int = 5) -> Familiarity:
    """One whose map is compared as it is, and which has no opinion on the beam."""
    width = reference.shape[1]
    return Familiarity(
        map_mean=torch.zeros(width),
        map_basis=torch.eye(width),
        reference=reference,
        beam_mean=torch.zeros(BEAM_NUMBERS),
        beam_whitening=torch.zeros(BEAM_NUMBERS, BEAM_NUMBERS),
        place=UNIT,
        beam=UNIT,
        scale=0.5,
        k=k,
    )


@pytest.mark.parametrize("references", [3, 5, 40])
def test_place_against_numpy(references: int) -> None:
    """The distance to the k-th nearest reference, of unit vectors."""
    rng = np.random.default_rng(1)
    reference = rng.standard_normal((references, 6)).astype(np.float32)
    reference /= np.linalg.norm(reference, axis=1, keepdims=True)
    maps = 3 * rng.standard_normal((8, 3, 2)).astype(np.float32)
    got = known(torch.from_numpy(reference)).place_distances(torch.from_numpy(maps))
    flat = maps.reshape(8, 6)
    unit = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    for x, distance in zip(unit, got.tolist(), strict=True):
        distances = sorted(np.linalg.norm(reference - x, axis=1))
        assert distance == pytest.approx(distances[min(5, references) - 1], abs=1e-3)


def scene(seed: int, order: list[int] | None) -> NDArray[np.float64]:
    """Power of (48, 128) range-azimuth rows: one target a row seen by eight antennas."""
    rng = np.random.default_rng(seed)
    phase = np.exp(1j * np.pi * rng.uniform(-0.9, 0.9, (48, 1)) * np.arange(8))
    antennas = rng.uniform(0.5, 2.0, (48, 1)) * phase
    noise = rng.standard_normal((48, 8)) + 1j * rng.standard_normal((48, 8))
    antennas = (antennas + 0.05 * noise)[:, order or range(8)]
    maps = np.fft.fft(antennas * taylor_window(), 128, axis=1)
    power: NDArray[np.float64] = np.abs(np.fft.fftshift(maps, axes=1)) ** 2
    return power


def powers(seeds: range, order: list[int] | None = None) -> Tensor:
    """(n, 48, 128) of such scenes."""
    return torch.from_numpy(np.stack([scene(seed, order) for seed in seeds])).float()


def test_beam_numbers_are_the_coherence_of_the_antennas() -> None:
    """The transform of the power is the antennas' autocorrelation: the same numbers from both."""
    rng = np.random.default_rng(3)
    antennas = rng.standard_normal((12, 8)) + 1j * rng.standard_normal((12, 8))
    power = np.abs(np.fft.fftshift(np.fft.fft(antennas, 128, axis=1), axes=1)) ** 2
    energy = (np.abs(antennas) ** 2).sum(axis=1)
    lags = range(1, LAGS + 1)
    products = [(antennas[:, lag:] * antennas[:, :-lag].conj()).sum(axis=1) for lag in lags]
    coherence = np.abs(np.stack(products, axis=1)) / energy[:, None]
    wanted: list[NDArray[np.float64]] = []
    for rows in (slice(0, 4), slice(4, 8), slice(8, 12)):
        near, weight = coherence[rows], energy[rows, None]
        wanted += [near.mean(axis=0), (near * weight).sum(axis=0) / weight.sum(), near.std(axis=0)]
    got = beam_numbers(torch.from_numpy(power)[None])[0].exp().numpy() - 1e-3
    assert np.allclose(got, np.concatenate(wanted), atol=1e-6)


def fitted() -> Familiarity:
    """From 200 scenes, measured on 40 others; their maps are noise around one place."""
    maps = torch.randn(240, 4, 3, generator=torch.Generator().manual_seed(0)) + 2.0
    power = powers(range(240))
    return fit_familiarity((maps[:200], power[:200]), (maps[200:], power[200:]), None)


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 5, 4, 6, 7], [4, 5, 6, 7, 0, 1, 2, 3]])
def test_exchanged_antennas_lie_farther_off_than_any_known_frame(order: list[int]) -> None:
    """Two neighbours, or the two transmitters' halves, in the wrong order."""
    beam = fitted().beam_distances
    assert beam(powers(range(300, 340), order)).min() > beam(powers(range(300, 340))).max()


def test_one_is_the_farthest_hundredth_of_unseen_frames() -> None:
    """Of the frames that the scale was measured on, about one in a hundred lies above 1."""
    maps = torch.randn(400, 4, 3, generator=torch.Generator().manual_seed(0)) + 2.0
    power = powers(range(400))
    familiarity = fit_familiarity((maps[:100], power[:100]), (maps[100:], power[100:]), None)
    scores = familiarity.score(maps[100:], power[100:], None)
    assert float((scores > 1).float().mean()) == pytest.approx(0.01, abs=0.005)
    assert scores.min() >= 0
    again = fit_familiarity((maps[:100], power[:100]), (maps[100:], power[100:]), None)
    assert torch.equal(familiarity.map_basis, again.map_basis)


def test_doubt_makes_a_frame_less_familiar() -> None:
    """Of the same frame, an unsure answer scores higher, by the weight of its log-odds."""
    familiarity = replace(known(torch.nn.functional.normalize(torch.eye(3), dim=1), k=1), scale=1.0)
    maps, power = torch.eye(3)[:2], torch.ones(2, 4, 128)
    sure, unsure = familiarity.score(maps, power, torch.tensor([1.0, 0.5])).tolist()
    assert sure == pytest.approx(0.0, abs=1e-3)
    assert unsure == pytest.approx(DOUBT_WEIGHT * np.log(2), abs=1e-3)


def test_a_known_frame_is_familiar() -> None:
    """A frame that is a reference itself lies at distance 0 from its nearest."""
    reference = torch.nn.functional.normalize(torch.eye(3), dim=1)
    assert known(reference, k=1).place_distances(reference).tolist() == [0.0, 0.0, 0.0]


def test_what_known_frames_never_show_does_no_harm() -> None:
    """Constant maps, and a frame without any power: numbers, never NaN."""
    maps, power = torch.ones(40, 4, 3), powers(range(40))
    familiarity = fit_familiarity((maps[:30], power[:30]), (maps[30:], power[30:]), None)
    for odd in (torch.zeros(1, 48, 128), torch.full((1, 48, 128), 1e18)):
        assert torch.isfinite(familiarity.score(5 * maps[:1], odd, None)).all()
