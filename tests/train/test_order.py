import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kdcore.inputs.order import batch
from kdcore.train import order

small = st.integers(1, 60)


@given(seed=st.integers(0, 2**31 - 1), images=small, batch_size=small, steps=st.integers(1, 20))
def test_batches_following_each_other_are_whole_passes_over_the_images(seed, images, batch_size, steps):
    stream = np.concatenate([batch(seed, step, images, batch_size) for step in range(steps)])
    for start in range(0, len(stream) - images + 1, images):
        assert sorted(stream[start : start + images]) == list(range(images))


def test_a_batch_depends_on_seed_and_step_alone():
    assert (batch(1, 5, 50, 64) == batch(1, 5, 50, 64)).all()
    assert (batch(1, 5, 50, 64) != batch(2, 5, 50, 64)).any()
    assert (batch(1, 5, 50, 64) != batch(1, 6, 50, 64)).any()


def test_an_epoch_is_whole_passes_of_at_least_25_steps():
    assert order.epoch_steps(images=50_000, batch_size=64) == 782
    assert order.epoch_steps(images=50, batch_size=64) == 25
    assert order.epoch_steps(images=640, batch_size=64) == 30


def test_epochs_become_steps_over_the_images():
    assert order.steps_of(epochs=2, images=50, batch_size=64) == 2
    assert order.steps_of(epochs=240, images=50_000, batch_size=64) == 187_500


def test_views_differ_between_epochs_and_seeds():
    seeds = {order.views_seed(seed, epoch) for seed in range(20) for epoch in range(20)}
    assert len(seeds) == 400
