"""GPT-2 (Radford et al. 2019) for the tokens of running text, and its weights out of a Hugging Face folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import nn

from kdcore import hub
from kdcore.inputs.ids import FIRST
from kdcore.models.nets.attention import draw_weights
from kdcore.models.nets.bert import spread
from kdcore.models.nets.text_decoder import TextDecoder
from kdcore.models.nets.text_encoder import Tokens
from kdcore.problems import first_line

# The names of a layer's modules in this network, by those in a folder; c_attn holds three.
LAYER = {
    "ln_1": ("norm1",),
    "attn.c_attn": ("attention.query", "attention.key", "attention.value"),
    "attn.c_proj": ("attention.out",),
    "ln_2": ("norm2",),
    "mlp.c_fc": ("mlp.linear1",),
    "mlp.c_proj": ("mlp.linear2",),
}


class Words(Tokens):
    """Tokens that have no rows for padding and the unknown, which running text has none of."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return super().forward((ids - FIRST).clamp(min=0))


class Gpt2(TextDecoder):
    """A text decoder with GPT-2's approximation of GELU, whose head is its embedding: one weight, without bias."""

    def __init__(
        self, depth: int, dim: int, heads: int, classes: int, vocabulary: int, longest: int, normalize: nn.Module
    ):
        super().__init__(depth, dim, heads, classes, vocabulary, longest, normalize)
        for name in self.stages:
            self.get_submodule(f"{name}.mlp").gelu = nn.GELU(approximate="tanh")
        self.stem = Words(vocabulary - FIRST, longest, dim)
        self.head = nn.Linear(dim, classes, bias=False)
        self.head.weight = self.stem.token.weight
        draw_weights(self)


def load(network: Gpt2, folder: Path, layers: int, places: Sequence[int]) -> None:
    """Puts the folder's weights into the network: the rows of the tokens at `places`, the first positions, and evenly
    spaced ones of its `layers`. Raises BadFolder."""
    from safetensors import SafetensorError, safe_open

    path = hub.file(folder, hub.WEIGHTS)
    own = dict(network.named_parameters())
    try:
        with safe_open(path, "pt") as file:
            there = set(file.keys())
            prefix = "transformer." if "transformer.wte.weight" in there else ""

            def read(name: str) -> torch.Tensor:
                if prefix + name not in there:
                    raise hub.BadFolder(f"{path} has no tensor {prefix + name!r}: it is not a GPT-2's")
                value: torch.Tensor = file.get_tensor(prefix + name).float()
                if not value.isfinite().all():
                    raise hub.BadFolder(f"{name} in {path} holds values that are no numbers")
                return value

            words = read("wte.weight")
            if "lm_head.weight" in there and not torch.equal(file.get_tensor("lm_head.weight").float(), words):
                raise hub.BadFolder(f"{path} has a head that is not its embedding, which is not supported")
            _copy(own["stem.token.weight"], _rows(words, places), "wte.weight", path)
            longest = len(own["stem.position.weight"])
            _copy(own["stem.position.weight"], read("wpe.weight")[:longest], "wpe.weight", path)
            for theirs, ours, value in _modules(len(network.stages), layers, read):
                _copy(own[ours], value, theirs, path)
    except SafetensorError as error:
        raise hub.BadFolder(f"{path} cannot be read as safetensors: {first_line(error)}") from None


def _rows(words: torch.Tensor, places: Sequence[int]) -> torch.Tensor:
    """Those of the tokens that are kept; as they are, and then of a wrong shape, where some are missing."""
    return words[list(places)] if len(words) > max(places) else words


def _modules(depth: int, layers: int, read: Callable[[str], torch.Tensor]) -> Iterator[tuple[str, str, torch.Tensor]]:
    """Name in the folder, name in the network and value of all that is neither embedding. A linear layer's weight is
    (inputs, outputs) in the folder, as transformers' Conv1D has it."""
    for part in ("weight", "bias"):
        yield f"ln_f.{part}", f"pool.norm.{part}", read(f"ln_f.{part}")
        for place, layer in enumerate(spread(depth, layers)):
            for theirs, ours in LAYER.items():
                name = f"h.{layer}.{theirs}.{part}"
                value = read(name)
                value = value.T if value.ndim == 2 else value
                for module, share in zip(ours, value.tensor_split(len(ours)), strict=True):
                    yield name, f"stage{place + 1}.{module}.{part}", share


def _copy(weight: torch.Tensor, value: torch.Tensor, name: str, path: Path) -> None:
    if value.shape != weight.shape:
        raise hub.BadFolder(f"{name} in {path} is {tuple(value.shape)}, where {tuple(weight.shape)} is needed")
    weight.data.copy_(value)
