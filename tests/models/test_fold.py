import torch

from kdcore import models, registry
from kdcore.models.fold import folded


def test_the_logits_stay_and_batch_norm_goes():
    torch.manual_seed(0)
    network = models.create(
        registry.validate("architecture", {"architecture": "resnet", "depth": 8}), 5, (3, 16, 16), [0.5] * 3, [0.2] * 3
    )
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    images = torch.rand(4, 3, 16, 16)
    graph = folded(network.eval())
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in graph.modules())
    with torch.no_grad():
        torch.testing.assert_close(graph(images), network(images), rtol=1e-4, atol=1e-4)


def test_what_cannot_be_traced_is_left_alone():
    class Branching(torch.nn.Module):
        def forward(self, images):
            return images if images.sum() > 0 else -images

    assert folded(Branching().eval()) is None
