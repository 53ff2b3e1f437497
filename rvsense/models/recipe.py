"""Writes a model down as steps and tensors, which rvsense.models.program runs."""

from typing import Any

from torch import Tensor, nn

from rvsense import familiar, features
from rvsense.encoders import RadarEncoder, ResidualBlock, ResidualEncoder, Vgg16Encoder
from rvsense.familiar import Familiarity
from rvsense.head import HeadFit
from rvsense.models.whole import FEATURES, INPUT, LOGITS, OOD_SCORE, PROBABILITIES, Whole


class Recipe:
    """`steps` and `tensors` of a whole model.

    Raises:
        TypeError: the encoder has a layer that no step is for.
    """

    def __init__(self, whole: Whole) -> None:
        self.steps: list[dict[str, Any]] = []
        self.tensors: dict[str, Tensor] = {}
        x = self._prepared(whole.encoder)
        maps = self._encoded(whole.encoder, x)
        if whole.model.head is not None:
            self._classified(whole.model.head)
        if whole.model.familiarity is not None:
            self._compared(whole.model.familiarity, maps, whole.model.head is not None)

    def _do(self, do: str, to: str, *of: str, **how: Any) -> str:
        self.steps.append({"do": do, "to": to, "of": list(of), **how})
        return to

    def _keep(self, name: str, tensor: Tensor) -> str:
        self.tensors[name] = tensor.detach().contiguous()
        return name

    def _prepared(self, encoder: RadarEncoder) -> str:
        scales = {
            "magnitude": (features.MAGNITUDE_MEAN, features.MAGNITUDE_STD),
            "motion": (features.MOTION_MEAN, features.MOTION_STD),
        }
        for name in encoder.spec.channels:
            mean, std = scales[name]
            self._do(
                name, name, INPUT,
                mean=mean, std=std, floor=features.FLOOR, largest_power=features.LARGEST_POWER,
            )  # fmt: skip
        return self._do("stack", "input", *encoder.spec.channels)

    def _encoded(self, encoder: RadarEncoder, x: str) -> str:
        if isinstance(encoder, ResidualEncoder):
            x = self._layers("stem", encoder.stem, x)
            maps = self._layers("stages", encoder.stages, x)
            self._do("mean_and_max", FEATURES, maps)
        elif isinstance(encoder, Vgg16Encoder):
            x = self._do("resize", "resized", x, size=[features.PAPER_SIZE] * 2)
            x = self._do("repeat", "repeated", x, channels=3)
            maps = self._layers("trunk", encoder.trunk, x)
            x = self._do("flatten", "flat", maps)
            x = self._layers("classifier", encoder.classifier, x)
            self.steps[-1]["to"] = FEATURES
        else:
            raise TypeError(f"no steps are known for {type(encoder).__name__}")
        return maps

    def _layers(self, name: str, layers: nn.Module, x: str) -> str:
        for i, layer in enumerate(layers.children()):
            x = self._layer(f"{name}.{i}", layer, x)
        return x

    def _layer(self, name: str, layer: nn.Module, x: str) -> str:
        match layer:
            case nn.Identity() | nn.Dropout():
                y = x
            case ResidualBlock():
                y = self._block(name, layer, x)
            case nn.Conv2d():
                weight = self._keep(f"{name}.weight", layer.weight)
                bias = "" if layer.bias is None else self._keep(f"{name}.bias", layer.bias)
                how = {"stride": layer.stride, "padding": layer.padding}
                y = self._do("conv", name, x, weight=weight, bias=bias, **how)
            case nn.Linear():
                weight = self._keep(f"{name}.weight", layer.weight)
                y = self._do(
                    "linear", name, x, weight=weight, bias=self._keep(f"{name}.bias", layer.bias)
                )
            case nn.ReLU():
                y = self._do("relu", name, x)
            case nn.AvgPool2d() | nn.MaxPool2d():
                do = "average_pool" if isinstance(layer, nn.AvgPool2d) else "max_pool"
                y = self._do(do, name, x, size=layer.kernel_size, stride=layer.stride)
            case nn.AdaptiveAvgPool2d():
                y = self._do("average_to", name, x, size=layer.output_size)
            case _:
                raise TypeError(f"no step is known for {name}, a {type(layer).__name__}")
        return y

    def _block(self, name: str, block: ResidualBlock, x: str) -> str:
        y = self._do("relu", f"{name}.a", self._layer(f"{name}.first", block.first, x))
        y = self._layer(f"{name}.second", block.second, y)
        if isinstance(block.shortcut, nn.Sequential):
            x = self._layers(f"{name}.shortcut", block.shortcut, x)
        return self._do("relu", name, self._do("add", f"{name}.sum", y, x))

    def _classified(self, head: HeadFit) -> None:
        mean, std = self._keep("head.mean", head.mean), self._keep("head.std", head.std)
        weight, bias = self._keep("head.weight", head.weight), self._keep("head.bias", head.bias)
        z = self._do("standardise", "standardised", FEATURES, mean=mean, std=std)
        x = self._do("linear", "uncalibrated", z, weight=weight, bias=bias)
        if head.known is not None:
            known = self._keep("head.known", head.known)
            x = self._do("moderate", "moderated", x, z, known=known, doubt=head.doubt)
        self._do("divide", LOGITS, x, by=head.temperature)
        self._do("softmax", PROBABILITIES, LOGITS)

    def _compared(self, known: Familiarity, maps: str, classified: bool) -> None:
        def keep(name: str) -> str:
            return self._keep(f"familiarity.{name}", getattr(known, name))

        self._do(
            "place_distance", "place", maps,
            mean=keep("map_mean"), basis=keep("map_basis"), reference=keep("reference"),
            k=min(known.k, len(known.reference)), shortest=familiar.SHORTEST,
            middle=known.place.middle, spread=known.place.spread,
        )  # fmt: skip
        self._do(
            "beam_distance", "beam", "magnitude",
            mean=features.MAGNITUDE_MEAN, std=features.MAGNITUDE_STD, floor=features.FLOOR,
            lags=familiar.LAGS, ranges=familiar.RANGES, epsilon=familiar.EPSILON,
            shortest=familiar.SHORTEST, usual=keep("beam_mean"), whitening=keep("beam_whitening"),
            middle=known.beam.middle, spread=known.beam.spread,
        )  # fmt: skip
        probabilities = (PROBABILITIES,) if classified else ()
        self._do(
            "ood_score", OOD_SCORE, "place", "beam", *probabilities,
            doubt_weight=familiar.DOUBT_WEIGHT, scale=known.scale,
        )  # fmt: skip
