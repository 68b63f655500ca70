"""Training losses under letters."""

from kdcore.figures.losses import Loss, losses


def test_each_student_has_a_line_that_can_be_told_from_the_others():
    chart = losses([Loss(name, (8.0, 1.0, 0.5)) for name in "ABCDEF"], "Title")
    assert len({(line.line.color, line.line.dash) for line in chart.data}) == 6
    assert chart.layout.yaxis.type == "log"
    assert list(chart.data[0].x) == [1, 2, 3]
