import math

import pytest
import torch

from kdcore.data.labelling import MANY_LABELS, ONE_LABEL

torch.set_num_threads(1)
NAN = math.nan
LOGITS = torch.tensor([[0.0, 2.0, -1.0], [1.0, -3.0, 0.5]], dtype=torch.float64)
SETS = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_the_loss_of_label_sets_is_their_negative_log_likelihood():
    first = -math.log(1 - sigmoid(0)) - math.log(sigmoid(2)) - math.log(1 - sigmoid(-1))
    second = -math.log(sigmoid(1)) - math.log(1 - sigmoid(-3)) - math.log(1 - sigmoid(0.5))
    assert MANY_LABELS.loss(LOGITS, SETS).item() == pytest.approx((first + second) / 2)


def test_an_empty_label_set_is_a_label_and_nan_is_none():
    nothing = torch.zeros(1, 3, dtype=torch.float64)
    expected = -sum(math.log(1 - sigmoid(x)) for x in (0, 2, -1))
    assert MANY_LABELS.loss(LOGITS[:1], nothing).item() == pytest.approx(expected)
    unlabelled = torch.cat([nothing, torch.full((1, 3), NAN, dtype=torch.float64)])
    assert MANY_LABELS.loss(LOGITS, unlabelled).item() == pytest.approx(expected)
    assert MANY_LABELS.loss(LOGITS, torch.full((2, 3), NAN)).item() == 0


def test_images_without_labels_send_no_gradient():
    logits = LOGITS.clone().requires_grad_()
    MANY_LABELS.loss(logits, torch.stack([SETS[0], torch.full((3,), NAN, dtype=torch.float64)])).backward()
    assert logits.grad[0].tolist() == pytest.approx([sigmoid(0), sigmoid(2) - 1, sigmoid(-1)])
    assert logits.grad[1].tolist() == [0, 0, 0]


def test_an_image_is_right_when_its_whole_label_set_is():
    assert MANY_LABELS.right(LOGITS, SETS).item() == pytest.approx(1 / 2)  # the second also says the third class
    assert MANY_LABELS.right(LOGITS, torch.tensor([[0.0, 1, 0], [NAN] * 3])).item() == 1
    assert ONE_LABEL.right(LOGITS, SETS).item() == 1


def test_an_image_without_a_label_is_neither_right_nor_wrong():
    logits = torch.tensor([[2.0, 0, 0], [0, 2.0, 0], [2.0, 0, 0]])
    targets = torch.tensor([[1.0, 0, 0], [1.0, 0, 0], [0, 0, 0]])
    assert ONE_LABEL.right(logits, targets).item() == pytest.approx(1 / 2)
    assert ONE_LABEL.right(logits, torch.zeros(3, 3)).item() == 0


def test_which_images_have_a_label():
    rows = torch.tensor([[0.0, 0, 0], [0, 1, 0]])
    assert ONE_LABEL.labelled(rows).tolist() == [False, True]
    assert MANY_LABELS.labelled(torch.cat([rows, torch.full((1, 3), NAN)])).tolist() == [True, True, False]


def test_smoothing_of_one_label_goes_to_the_other_classes_and_of_each_decision_to_one_half():
    assert ONE_LABEL.smoothed(SETS, 0.3)[0].tolist() == pytest.approx([0.1, 0.8, 0.1])
    assert MANY_LABELS.smoothed(SETS, 0.2)[0].tolist() == pytest.approx([0.1, 0.9, 0.1])
    assert MANY_LABELS.smoothed(torch.full((1, 3), NAN), 0.2).isnan().all()
