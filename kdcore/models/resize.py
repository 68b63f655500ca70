"""Layers that take the sizes of saved tensors, as after structured pruning."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kdcore import inputs
from kdcore.lazy import nn, torch


def load(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Puts copies of `tensors`, a whole state dict, into a network, whose layers take their sizes.

    Only numbers of channels and neurons may differ from the network's. Raises ValueError, which names the tensor
    that is missing, unknown or does not fit its layer.
    """
    own = network.state_dict()
    wrong = [f"tensor {name!r} is missing" for name in sorted(own.keys() - tensors.keys())]
    wrong += [f"the network has no tensor {name!r}" for name in sorted(tensors.keys() - own.keys())]
    if wrong:
        raise ValueError("; ".join(wrong[:3]))
    for path, module in network.named_modules():
        _take_sizes(module, path, tensors)
    copies = {
        name: value.detach().to("cpu").clone(memory_format=torch.contiguous_format) for name, value in tensors.items()
    }
    network.load_state_dict(copies, assign=True)


def _take_sizes(module: nn.Module, path: str, tensors: Mapping[str, torch.Tensor]) -> None:
    """Gives one layer's own parameters and buffers the saved shapes, and the layer the sizes of its weight."""
    sized = isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d | nn.LayerNorm)
    prefix = f"{path}." if path else ""
    outputs = tensors[f"{prefix}weight"].shape[:1] if sized and module.weight is not None else None
    for name, value in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
        saved = tensors[f"{prefix}{name}"].shape
        if saved == value.shape:
            continue
        if isinstance(module, nn.MultiheadAttention):
            fits = _fits_attention(saved, value.shape, module.num_heads)
        else:
            fits = _fits_layer(saved, value.shape, outputs) if sized else _fits_alone(saved, value)
        if not fits:
            raise ValueError(f"tensor '{prefix}{name}' {tuple(saved)} does not fit its layer {tuple(value.shape)}")
        value.data = torch.empty(saved, dtype=value.dtype, device=value.device)
    if isinstance(module, nn.Conv2d):
        _size_convolution(module, path)
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, nn.BatchNorm2d):
        module.num_features = module.weight.shape[0]
    elif isinstance(module, nn.LayerNorm):
        module.normalized_shape = tuple(module.weight.shape)
    elif isinstance(module, nn.MultiheadAttention):
        dim = module.in_proj_bias.shape[0] // 3
        module.embed_dim = module.kdim = module.vdim = dim
        module.head_dim = dim // module.num_heads


def _fits_layer(saved: torch.Size, own: torch.Size, outputs: torch.Size | None) -> bool:
    """Whether a tensor of a layer with `outputs` channels differs from its own shape in channels only."""
    return bool(saved) and saved[:1] == outputs and len(saved) == len(own) and saved[2:] == own[2:] and 0 not in saved


def _fits_attention(saved: torch.Size, own: torch.Size, heads: int) -> bool:
    """Whether the weight (3 * dim, dim) or the bias (3 * dim) of queries, keys and values is that of another `dim`."""
    dim = saved[0] // 3 if len(saved) == len(own) else 0
    return dim > 0 and dim % heads == 0 and tuple(saved) == (3 * dim, dim)[: len(own)]


def _fits_alone(saved: torch.Size, value: torch.Tensor) -> bool:
    """Whether a parameter that belongs to no layer has lost channels: the last size of a class token or of positions
    (1, N, C), the first of a scale (C, 1, 1) or of positions (C, h, w)."""
    if not isinstance(value, nn.Parameter) or len(saved) != value.ndim or 0 in saved:
        return False
    place = -1 if value.shape[0] == 1 else 0
    others = [size for size in range(value.ndim) if size != place % value.ndim]
    return saved[place] < value.shape[place] and all(saved[other] == value.shape[other] for other in others)


def _size_convolution(module: nn.Conv2d, path: str) -> None:
    """A convolution channel by channel has as many groups as channels left; any other keeps its groups."""
    outputs, share = module.weight.shape[:2]
    if 1 < module.groups == module.in_channels == module.out_channels and share == 1:
        module.groups = outputs
    if outputs % module.groups:
        raise ValueError(
            f"tensor '{path}.weight' has {outputs} filters, which cannot be split into {module.groups} groups"
        )
    module.out_channels, module.in_channels = outputs, share * module.groups


def check(network: nn.Module, shape: inputs.Shape, classes: int) -> None:
    """Sends one input through the network. Raises ValueError, which names the tensor that does not fit."""
    at = ""

    def note(path: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
        def hook(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            nonlocal at
            at = path

        return hook

    layers = [(path, module) for path, module in network.named_modules() if hasattr(module, "weight")]
    handles = [module.register_forward_pre_hook(note(path)) for path, module in layers]
    try:
        with torch.no_grad():
            logits = network(inputs.of(shape).example(shape, device=next(network.parameters()).device))
    except RuntimeError as error:
        raise ValueError(f"tensor '{at}.weight' does not fit the layers around it: {error}") from None
    finally:
        for handle in handles:
            handle.remove()
    if logits.shape[1:] != (classes,):
        raise ValueError(f"tensor 'head.weight' makes {logits.shape[-1]} logits, not one for each of {classes} classes")
