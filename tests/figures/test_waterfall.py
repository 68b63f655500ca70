from __future__ import annotations

from kdcore.figures.waterfall import chain, waterfall, waterfall_view
from tests.figures.rows import row

STEPS = [
    row("teacher", "teacher", 0.99, 400_000, parent=None),
    row("student", "distilled", 0.98, 258_000, parent=None),
    row("90 % zeros", "pruned", 0.97, 258_000, parent="student"),
    row("16 values", "shared", 0.97, 258_000, parent="90 % zeros"),
    row("coded", "shared", 0.97, 258_000, parent="16 values"),
]
CODED = [
    {"name": "stem.weight", "sparse_bytes": 30_000, "shared_bytes": 10_000, "coded_bytes": 9_000},
    {"name": "header", "sparse_bytes": 1_000, "shared_bytes": 1_000, "coded_bytes": 1_320},
]


def test_the_chain_leads_from_the_student_to_the_last_step():
    assert [one["variant"] for one in chain(STEPS)] == ["student", "90 % zeros", "16 values", "coded"]
    assert [one["variant"] for one in chain(STEPS[:1])] == ["teacher"]
    assert chain([]) == []


def test_what_is_only_stored_follows_what_runs_and_the_title_tells_both():
    view = waterfall_view(chain(STEPS), CODED)
    assert view.title == "25× fewer bytes to store; the file that runs is as large as before"
    assert [(bar.label, bar.bytes, bar.stored) for bar in view.bars] == [
        ("student", 258_000, False), ("90 % zeros", 258_000, False), ("16 values", 258_000, False),
        ("coded", 258_000, False), ("zeros left out", 31_000, True), ("values shared", 11_000, True),
        ("Huffman-coded", 10_320, True),
    ]  # fmt: skip


def test_stored_bytes_are_drawn_differently_and_labelled():
    chart = waterfall(chain(STEPS), CODED)
    assert [trace.name for trace in chart.data] == ["The file that runs", "Storage only"]
    assert (chart.data[0].marker.pattern.shape, chart.data[1].marker.pattern.shape) == ("", "/")
    assert chart.data[1].text[-1] == "10 kB"
    assert chart.data[1].hovertext[0] == "zeros left out: 31 kB, storage only"


def test_a_chain_of_steps_tells_how_much_the_file_shrank_and_by_which():
    rows = [
        row("student", "distilled", 0.98, 120_000, parent=None),
        row("pruned", "pruned", 0.97, 40_000, parent="student"),
        row("int8", "quantized", 0.97, 15_000, parent="pruned"),
    ]
    assert waterfall_view(rows).title == "The file that runs is 8.0× smaller than student; pruned saves most"
    assert len(waterfall(rows).data) == 1
    smaller = waterfall_view([rows[0], rows[2]], CODED).title
    assert smaller == "12× fewer bytes to store; the file that runs is 8.0× smaller"


def test_one_step_or_none_is_no_waterfall():
    assert waterfall(STEPS[:1]) is None
    assert waterfall(STEPS[1:3]) is None
    assert waterfall([]) is None
    assert waterfall([STEPS[0] | {"size_bytes": None}], CODED) is None
