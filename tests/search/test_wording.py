"""Candidates with the same label show the options in which they differ."""

from kdcore.search.wording import apart, differing, namesakes


def row(label, **settings):
    return {"label": label, "settings": {name.replace("__", "."): value for name, value in settings.items()}}


ROWS = [
    row("int8", student__width=12, int8__calibration="minmax", distill__temperature=4.0),
    row("int8", student__width=12, int8__calibration="percentile", distill__temperature=4.0),
    row("width 9", student__width=9, distill__temperature=2.5),
]


def test_options_that_the_label_does_not_show_and_that_differ():
    assert apart(ROWS[:2]) == ["int8 calibration minmax", "int8 calibration percentile"]
    assert apart(ROWS)[2] == "distillation temperature 2.5"
    assert differing(ROWS[1:])["int8 calibration"] == ["percentile", ""]
    assert namesakes(ROWS) == ["int8 (int8 calibration minmax)", "int8 (int8 calibration percentile)", "width 9"]
    assert namesakes(ROWS[2:] * 2) == ["width 9", "width 9"], "the same candidate twice"
