from __future__ import annotations

import pytest

from kdcore.figures import style
from kdcore.figures.layers import Model, noise, noise_view, shares, shares_view, sparsity, sparsity_view
from kdcore.figures.weights import histogram, histogram_view


def layer(name: str, *, zeros: int = 0, zero_filters: int = 0, shape=(4, 2, 3, 3), bits: int = 32) -> dict:
    total = 1
    for size in shape:
        total *= size
    return {
        "name": name, "type": "Conv", "shape": list(shape), "params": total + shape[0], "macs": 100 * total,
        "zeros": zeros, "sparsity": zeros / total, "filters": shape[0], "zero_filters": zero_filters,
        "channels": shape[1], "zero_channels": 1, "mean_abs": 0.1, "std": 0.2, "bits": bits,
        "histogram": {"edges": [-1.0, 0.0, 1.0], "counts": [1, 3]},
    }  # fmt: skip


A = Model("pruned 50 %", "pruned", [layer("stem", zeros=36, zero_filters=2), layer("head", shape=(10, 4))])
B = Model("student distilled", "distilled", [layer("stem"), layer("extra")])


def test_zeros_are_shares_of_weights_filters_and_channels():
    assert sparsity_view([A], "weight").values[0] == pytest.approx((50, 0))
    assert sparsity_view([A], "filter").values[0] == pytest.approx((50, 0))
    assert sparsity_view([A], "channel").values[0] == pytest.approx((50, 25))


def test_layers_of_both_are_lined_up_by_name():
    bars = sparsity_view([A, B])
    assert bars.layers == ("stem", "head", "extra")
    assert bars.values[1] == (0, None, 0)


def test_titles_tell_where_most_is():
    assert sparsity_view([A, B]).title == "Most zeros: 50.0 % of the weights of stem in pruned 50 %"
    assert sparsity_view([B]).title == "No weights are zero"
    assert sparsity_view([B._replace(role="pruned")]).title.endswith("removed filters are no longer in the shapes")
    assert shares_view([A], "macs").title == "stem holds 64.3 % of the MACs of pruned 50 %"


def measured(name: str, db: float | None, note: str = "", **more) -> dict:
    return layer(name) | {"rank": 4, "distinct": 72, "distinct_in_filter": 18, "sqnr_db": db, "sqnr_note": note} | more


C = Model(
    "int8", "quantized", [measured("stem", None, "the outputs are equal"), measured("middle", 20), measured("head", 31)]
)
TRAINED = Model("student", "distilled", [measured("stem", None), measured("middle", None), measured("head", None)])


def test_noise_names_the_layer_whose_output_is_changed_most():
    view = noise_view([C, TRAINED])
    assert view.models == (("int8", "quantized"),)  # a trained network was made from no other file
    assert view.values == ((None, 20, 31),)
    assert view.title == "Lowest output SQNR: middle of int8, 20.0 dB (error 10.0 %)"
    assert view.hovers[0][0] == "int8, stem: the outputs are equal"
    assert view.hovers[0][2] == "int8, head: 31.0 dB, relative error 2.8 %"
    (drawn,) = noise([C, TRAINED]).data
    assert (drawn.name, drawn.x, drawn.text) == ("int8", (0, 20, 31), ("the outputs are equal", "", ""))


def test_without_noise_there_is_no_chart():
    assert noise([TRAINED, A]) is None  # A: a model of an earlier version, of which it is not known
    assert noise([Model("coded", "shared", [measured("stem", None, "the outputs are equal")])]) is None
    assert noise([]) is None


def test_ranks_values_and_bits_have_titles_of_their_own():
    low = Model(
        "low rank",
        "low_rank",
        [measured("a", 9.0, rank=2, distinct=30, distinct_in_filter=9, bits=8), measured("b", 9.0)],
    )
    assert shares_view([low], "rank").title == "a of low rank has rank 2 of at most 4"
    assert shares_view([low], "rank").hovers[0][0] == "low rank, a: rank 2 of at most 4; shape 4×2×3×3"
    assert shares_view([C], "rank").title == "Every layer of int8 has full rank"
    assert shares_view([low], "distinct").title == (
        "a of low rank has 30 distinct values in 72 weights, at most 9 in a filter"
    )
    tiny = measured("tiny", 9.0, distinct=4, distinct_in_filter=1, shape=[4, 1])  # fewer values cannot be: no news
    assert shares_view([low._replace(layers=[tiny, *low.layers])], "distinct").title.startswith("a of low rank has 30")
    assert shares_view([low], "bits").title == "Weights of low rank: 8 bits in 1 layer, 32 bits in 1 layer"
    assert shares_view([A], "rank").title == "Rank of pruned 50 %: not measured"
    large = Model("vgg", "teacher", [measured("a", None, rank=None), measured("b", None)])
    assert shares_view([large], "rank").title == "Every layer of vgg has full rank, of those small enough to measure"
    assert shares_view([large], "rank").values == ((None, 4),)


def test_bars_have_the_roles_colours_and_a_sentence_each():
    chart = sparsity([A, B])
    assert [trace.name for trace in chart.data] == ["pruned 50 %", "student distilled"]
    assert chart.data[0].hovertext[0] == "pruned 50 %, stem: 36 of 72 weights are zero; shape 4×2×3×3"
    assert chart.layout.xaxis.range == (0, 100)


def test_two_of_one_role_are_told_apart_by_a_pattern():
    chart = shares([A, A._replace(name="pruned 75 %")], "params")
    assert [trace.marker.pattern.shape for trace in chart.data] == ["", "/"]
    assert chart.data[1].marker.pattern.fgcolor == style.ROLES["pruned"].colour, "white would not be seen on white"


def test_no_layers_is_no_error():
    assert shares_view([], "params").title == "No layers to show"
    assert sparsity([]).data == ()


def test_the_histogram_is_in_shares_at_the_bins_centres():
    view = histogram_view([A, B], "stem")
    assert view.title == "stem: 32 bits and 50.0 % zeros in pruned 50 %; 32 bits and 0.0 % zeros in student distilled"
    assert view.outlines[0].centres == pytest.approx([-0.5, 0.5])
    assert view.outlines[0].shares == pytest.approx([25, 75])


def test_a_layer_that_only_one_has_is_drawn_once():
    assert [trace.name for trace in histogram([A, B], "extra").data] == ["student distilled"]
    assert histogram_view([A], "nowhere").title == "No variant has a layer nowhere"
