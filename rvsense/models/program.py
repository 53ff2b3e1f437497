"""Runs a model that `rvsense model export` wrote as safetensors. Needs torch and safetensors only.

The file holds tensors and, in its metadata under `program`, what to do with them: a list of steps
{"do", "to", "of", ...}, each of which makes the value `to` from the values `of`. Copy this file,
or read it as what each step means:

    python program.py MODEL.safetensors HEATMAPS.npy
"""

import json
import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional as F

Step = Mapping[str, Any]


class Program:
    """A loaded export; `facts` is its metadata: classes, input, outputs, model, temperature, …"""

    def __init__(self, path: str) -> None:
        with safe_open(path, framework="pt") as file:
            self.facts = file.metadata()
            self.tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        self.steps: list[Step] = json.loads(self.facts["program"])
        self.outputs: list[str] = json.loads(self.facts["outputs"])

    @torch.inference_mode()
    def __call__(self, heatmaps: Tensor) -> dict[str, Tensor]:
        """(n, chirps, 128, 128, 2) heatmaps to the outputs by name."""
        values = {"heatmaps": heatmaps.float()}
        for step in self.steps:
            given = [values[name] for name in step["of"]]
            values[step["to"]] = MEANINGS[step["do"]](step, self.tensors, *given)
        return {name: values[name] for name in self.outputs}


def compressed(step: Step, power: Tensor) -> Tensor:
    """The standardised logarithm of the amplitude."""
    most = step["largest_power"]
    amplitude = power.nan_to_num(nan=most).clamp_max(most).sqrt()
    scaled: Tensor = ((amplitude + step["floor"]).log() - step["mean"]) / step["std"]
    return scaled


def magnitude(step: Step, _: Any, heatmaps: Tensor) -> Tensor:
    """(n, chirps, 128, 128, 2) to (n, 128, 128): of the first chirp."""
    return compressed(step, heatmaps[:, 0].square().sum(dim=-1))


def motion(step: Step, _: Any, heatmaps: Tensor) -> Tensor:
    """(n, chirps, 128, 128, 2) to (n, 128, 128): root mean square deviation of the chirps."""
    if heatmaps.shape[1] == 1:
        return torch.zeros(heatmaps.shape[0], *heatmaps.shape[2:4])
    deviation = heatmaps - heatmaps.mean(dim=1, keepdim=True)
    return compressed(step, deviation.square().mean(dim=1).sum(dim=-1))


def moderate(step: Step, t: Mapping[str, Tensor], logits: Tensor, z: Tensor) -> Tensor:
    """Logits made smaller by their own uncertainty, the answer stays."""
    known = z @ t[step["known"]].T
    unknown = z.square().sum(dim=1) - known.square().sum(dim=1)
    variance = step["doubt"] * unknown.clamp_min(0)
    moderated: Tensor = logits / (1 + math.pi / 8 * variance).sqrt()[:, None]
    return moderated


def place_distance(step: Step, t: Mapping[str, Tensor], maps: Tensor) -> Tensor:
    """(n,) distances of feature maps to the k-th nearest known frame, in deviations."""
    found = (maps.flatten(1) - t[step["mean"]]) @ t[step["basis"]]
    length = torch.linalg.vector_norm(found, dim=1).clamp_min(step["shortest"])
    nearest = (found @ t[step["reference"]].T).topk(step["k"], dim=1).values[:, -1]
    distance: Tensor = (2 - 2 * nearest / length).clamp_min(0).sqrt()
    return distance.sub(step["middle"]).div(step["spread"])


def beam_distance(step: Step, t: Mapping[str, Tensor], log_magnitude: Tensor) -> Tensor:
    """(n,) Mahalanobis distances of the antennas' coherence from the usual, in deviations."""
    amplitude = (log_magnitude * step["std"] + step["mean"]).exp() - step["floor"]
    power = amplitude.clamp_min(0).square()
    lags = step["lags"] + 1
    turns = torch.outer(torch.arange(power.shape[2]), torch.arange(lags)).double() / power.shape[2]
    angles = 2 * torch.pi * turns
    size = torch.hypot(power @ angles.cos().float(), power @ angles.sin().float())
    weight, shortest = size[:, :, :1], step["shortest"]
    coherence = size[:, :, 1:] / weight.clamp_min(shortest)
    parts: list[list[Tensor]] = [[], [], []]
    thirds = torch.tensor_split(torch.arange(power.shape[1]), step["ranges"])
    for rows in thirds:
        part, heavy = coherence[:, rows], weight[:, rows]
        mean = part.mean(dim=1, keepdim=True)
        parts[0].append(mean[:, 0])
        parts[1].append((part * heavy).mean(dim=1) / heavy.mean(dim=1).clamp_min(shortest))
        parts[2].append((part - mean).square().mean(dim=1).sqrt())
    by_third = torch.stack([torch.stack(kind, dim=1) for kind in parts], dim=2)  # (n, 3, 3, lags)
    numbers = (by_third.flatten(1) + step["epsilon"]).log()
    whitened = (numbers - t[step["usual"]]) @ t[step["whitening"]]
    distance: Tensor = torch.linalg.vector_norm(whitened, dim=1)
    return distance.sub(step["middle"]).div(step["spread"])


def ood_score(step: Step, _: Any, place: Tensor, beam: Tensor, *probabilities: Tensor) -> Tensor:
    """(n,) the larger of the two distances, plus doubt; 1 = the farthest hundredth of known."""
    total = torch.maximum(place, beam).clamp_min(0)
    for given in probabilities:
        total = total - step["doubt_weight"] * given.amax(dim=1).clamp_min(1e-6).log()
    return total.div(step["scale"])


def _conv(step: Step, t: Mapping[str, Tensor], x: Tensor) -> Tensor:
    bias = t[step["bias"]] if step["bias"] else None
    return F.conv2d(x, t[step["weight"]], bias, step["stride"], step["padding"])


def _resize(step: Step, _: Any, x: Tensor) -> Tensor:
    return F.interpolate(x, size=tuple(step["size"]), mode="bilinear", align_corners=False)


MEANINGS: dict[str, Callable[..., Tensor]] = {
    "magnitude": magnitude,
    "motion": motion,
    "stack": lambda _s, _t, *parts: torch.stack(parts, dim=1),
    "resize": _resize,
    "repeat": lambda s, _, x: x.expand(-1, s["channels"], -1, -1),
    "conv": _conv,
    "relu": lambda _s, _t, x: x.relu(),
    "add": lambda _s, _t, a, b: a + b,
    "average_pool": lambda s, _, x: F.avg_pool2d(x, s["size"], s["stride"]),
    "max_pool": lambda s, _, x: F.max_pool2d(x, s["size"], s["stride"]),
    "average_to": lambda s, _, x: F.adaptive_avg_pool2d(x, s["size"]),
    "flatten": lambda _s, _t, x: x.flatten(1),
    "linear": lambda s, t, x: F.linear(x, t[s["weight"]], t[s["bias"]]),
    "mean_and_max": lambda _s, _t, x: torch.cat([x.mean((2, 3)), x.amax((2, 3))], dim=1),
    "standardise": lambda s, t, x: (x - t[s["mean"]]) / t[s["std"]],
    "moderate": moderate,
    "divide": lambda s, _, x: x / s["by"],
    "softmax": lambda _s, _t, x: x.softmax(dim=1),
    "place_distance": place_distance,
    "beam_distance": beam_distance,
    "ood_score": ood_score,
}


if __name__ == "__main__":
    import numpy

    program = Program(sys.argv[1])
    heatmap = torch.from_numpy(numpy.load(sys.argv[2]))
    found = program(heatmap if heatmap.dim() == 5 else heatmap[None])
    print(json.dumps({"classes": json.loads(program.facts["classes"])}))
    for i in range(len(found["features"])):
        print(json.dumps({k: v[i].tolist() for k, v in found.items() if k != "features"}))
