"""The weather of a sequence: where the sun stands, how strong, and what colour things take."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rvsense.replay.simulate.camera import Camera

Array = npt.NDArray[np.float64]
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """Sun direction (unit, ground axes, towards the sun) and the balance of sun and sky."""

    sun: tuple[float, float, float]
    tint: Colour
    exposure: float
    sunlit: float
    """0 overcast to 1 clear: contrast of shading and shadows."""
    sky_top: Colour
    sky_low: Colour
    clouds: float
    noise: float
    """Standard deviation of the sensor noise, grey levels."""

    def in_camera(self, camera: Camera) -> Array:
        """Direction to the sun in camera axes (right, down, depth)."""
        seen: Array = camera.to_camera(np.array(self.sun) + np.array([0.0, 0.0, camera.height_m]))
        return seen / np.linalg.norm(seen)


def draw_weather(rng: np.random.Generator) -> Light:
    """The day of a site, for which its date stands: clear, evening or overcast."""
    mood = rng.choice(["day", "evening", "overcast"], p=[0.45, 0.25, 0.3])
    if mood == "day":
        elevation, sunlit, tint = rng.uniform(0.6, 1.1), rng.uniform(0.75, 1.0), (1.0, 0.99, 0.96)
        top, low = (62.0, 112.0, 190.0), (186.0, 208.0, 232.0)
        exposure, clouds, noise = rng.uniform(1.0, 1.25), rng.uniform(0.0, 0.6), 2.0
    elif mood == "evening":
        elevation, sunlit, tint = rng.uniform(0.3, 0.5), rng.uniform(0.5, 0.8), (1.06, 0.96, 0.84)
        top, low = (84.0, 104.0, 158.0), (240.0, 196.0, 148.0)
        exposure, clouds, noise = rng.uniform(0.85, 1.05), rng.uniform(0.1, 0.7), 3.2
    else:
        elevation, sunlit, tint = rng.uniform(0.7, 1.1), rng.uniform(0.05, 0.25), (0.95, 0.98, 1.03)
        top, low = (168.0, 176.0, 186.0), (214.0, 218.0, 222.0)
        exposure, clouds, noise = rng.uniform(0.95, 1.2), rng.uniform(0.3, 1.0), 2.6
    return Light(
        sun=_towards(float(rng.uniform(0.0, 2.0 * np.pi)), float(elevation)),
        tint=tint,
        exposure=float(exposure),
        sunlit=float(sunlit),
        sky_top=top,
        sky_low=low,
        clouds=float(clouds),
        noise=noise,
    )


def draw_light(weather: Light, rng: np.random.Generator) -> Light:
    """An hour of that day: the sun moves on, clouds pass, the exposure follows."""
    azimuth = np.arctan2(weather.sun[1], weather.sun[0]) + rng.uniform(-0.7, 0.7)
    elevation = np.arcsin(weather.sun[2]) * rng.uniform(0.8, 1.15)
    return replace(
        weather,
        sun=_towards(float(azimuth), float(elevation)),
        exposure=weather.exposure * float(rng.uniform(0.88, 1.12)),
        sunlit=float(np.clip(weather.sunlit * rng.uniform(0.75, 1.15), 0.0, 1.0)),
        clouds=weather.clouds + float(rng.uniform(-0.12, 0.12)),
    )


def _towards(azimuth_rad: float, elevation_rad: float) -> tuple[float, float, float]:
    flat = np.cos(elevation_rad)
    return (
        float(flat * np.cos(azimuth_rad)),
        float(flat * np.sin(azimuth_rad)),
        float(np.sin(elevation_rad)),
    )
