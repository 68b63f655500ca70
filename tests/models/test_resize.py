from __future__ import annotations

import pytest
import torch
from torch import nn

from kdcore.models.resize import load

torch.set_num_threads(1)


class Scaled(nn.Module):
    """A linear layer and a scale and a position that belong to no layer, as in transformers."""

    def __init__(self, dim: int, places: int = 4):
        super().__init__()
        self.linear = nn.Linear(3, dim)
        self.position = nn.Parameter(torch.rand(1, places, dim))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.linear(tokens) + self.position


class Attending(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.enter = nn.Linear(3, dim)
        self.attention = nn.MultiheadAttention(dim, 2, batch_first=True)
        self.leave = nn.LayerNorm(dim)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = self.enter(tokens)
        return self.leave(self.attention(tokens, tokens, tokens, need_weights=False)[0])


def depthwise(channels: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, channels, 1), nn.Conv2d(channels, channels, 3, groups=channels))


def grouped(channels: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, channels, 1), nn.Conv2d(channels, channels, 3, groups=4))


@pytest.mark.parametrize(
    ("make", "large", "small", "inputs"),
    [
        (depthwise, 8, 5, (2, 3, 6, 6)),
        (grouped, 16, 8, (2, 3, 6, 6)),
        (grouped, 16, 4, (2, 3, 6, 6)),  # as many groups as channels are left, and still as many groups as there were
        (Scaled, 8, 5, (2, 4, 3)),
        (Attending, 8, 6, (2, 4, 3)),
    ],
)
def test_every_kind_of_layer_takes_the_sizes_of_saved_tensors(make, large, small, inputs):
    given, network = make(small).eval(), make(large).eval()
    load(network, given.state_dict())
    assert repr(network) == repr(given)
    data = torch.rand(inputs)
    with torch.no_grad():
        assert torch.equal(network(data), given(data))
    again = make(large).eval()
    load(again, network.state_dict())
    assert repr(again) == repr(given)


def test_filters_that_do_not_make_whole_groups_are_refused():
    state = grouped(16).state_dict() | {"1.weight": torch.zeros(10, 4, 3, 3), "1.bias": torch.zeros(10)}
    with pytest.raises(ValueError, match=r"tensor '1\.weight' has 10 filters, which cannot be split into 4 groups"):
        load(grouped(16), state)


@pytest.mark.parametrize("shape", [(1, 3, 5), (1, 9, 8), (4, 8), (1, 0, 8)])
def test_a_position_for_other_places_is_refused(shape):
    """Fewer channels are right after pruning; other places, of an image of another size, are not."""
    state = Scaled(8).state_dict() | {"position": torch.zeros(shape)}
    with pytest.raises(ValueError, match=r"tensor 'position' .* does not fit its layer \(1, 4, 8\)"):
        load(Scaled(8), state)


@pytest.mark.parametrize(
    ("tensor", "shape"),
    [("attention.in_proj_weight", (24, 6)), ("attention.in_proj_weight", (21, 7)), ("attention.in_proj_bias", (23,))],
)
def test_attention_of_uneven_sizes_is_refused(tensor, shape):
    with pytest.raises(ValueError, match=f"tensor '{tensor}'"):
        load(Attending(8), Attending(8).state_dict() | {tensor: torch.zeros(shape)})
