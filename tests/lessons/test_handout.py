"""The page to hand in."""

import re
from html.parser import HTMLParser

import pytest

from kdcore import lessons
from kdcore.lessons.handout import handout
from kdcore.lessons.progress import Progress

LESSON = lessons.find("why-soft-targets")


class Page(HTMLParser):
    """The text outside scripts, and every address that a browser would ask for."""

    def __init__(self, html):
        super().__init__()
        self.words, self.asked, self.inside, self.formula = [], [], [], False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.inside.append(tag)
        self.formula |= tag == "math"
        self.asked += [value for name, value in attrs if name in ("src", "srcset", "data") or tag == "link"]

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        if not {"script", "style"} & set(self.inside):
            self.words.append(data)


@pytest.fixture(scope="module")
def html(small):
    return handout(LESSON, Progress(5.0, 1.8e9, small.run_id, "next"), small)


def test_it_holds_prediction_measurement_explanation_and_environment(html, small):
    page = Page(html)
    words = " ".join(page.words)
    answer = LESSON.measure(small)
    for wanted in ("+5.0 points", LESSON.prediction.words(answer.value), answer.verdict, small.run_id, "Hinton"):
        assert wanted in words
    assert LESSON.prediction.score(5.0, answer).words in words
    assert page.formula


def test_its_figures_are_inside_and_nothing_is_asked_of_others(html):
    assert not Page(html).asked
    assert "Plotly.newPlot" in html
    assert not re.search(r"@import|url\(['\"]?http", html.split("<script>")[0])


def test_there_is_none_without_a_prediction(small):
    with pytest.raises(ValueError, match="prediction"):
        handout(LESSON, Progress(), small)
