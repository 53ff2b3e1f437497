"""Fig. 7: the penultimate features of test frames on a plane, before and after."""

from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from rvsense.learner.offline.crew import Tell
from rvsense.learner.offline.downstream import EVALUATION_BATCH, Classifier
from rvsense.learner.offline.stages import Bench

POINTS = 1000
PERPLEXITY = 30.0


@dataclass(frozen=True, slots=True)
class Embed:
    """t-SNE of one seed's test frames (van der Maaten and Hinton, 2008).

    Before: the initial encoder under a random head. After: pre-trained and fine-tuned.
    """

    seed: int

    def __call__(self, bench: Bench, tell: Tell) -> dict[str, Any]:
        """Points (n, 2) before and after, and the class of each."""
        rows = bench.task(self.seed).test
        rows = rows[torch.linspace(0, len(rows) - 1, min(POINTS, len(rows))).long()]
        before = Classifier(bench.fresh(self.seed), self.seed).to(bench.device)
        after = Classifier(bench.fresh(self.seed), self.seed).to(bench.device)
        after.load_state_dict(load_file(bench.weights_path(f"finetune-{self.seed}")))
        found: dict[str, Any] = {"labels": bench.data.labels[rows].tolist()}
        for name, network in (("before", before), ("after", after)):
            found[name] = on_a_plane(_embed(network, bench, rows), self.seed)
            tell(0.5)
        return found


def on_a_plane(features: Tensor, seed: int) -> list[list[float]]:
    """(n, F) features to n points; the same seed gives the same ones."""
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    plane = TSNE(init="pca", perplexity=perplexity, random_state=seed, n_jobs=1)
    points = plane.fit_transform(features.numpy())
    return [[round(float(x), 3), round(float(y), 3)] for x, y in points]


@torch.inference_mode()
def _embed(network: Classifier, bench: Bench, rows: Tensor) -> Tensor:
    network.eval()
    inputs = (
        bench.data.inputs[r].float().to(bench.device) for r in torch.split(rows, EVALUATION_BATCH)
    )
    return torch.cat([network.embed(x).cpu() for x in inputs])
