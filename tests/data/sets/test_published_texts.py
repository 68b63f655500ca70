"""Every published set of texts, from a few lines in its authors' own format."""

from __future__ import annotations

import pytest

FILMS = "a fine film\t1\ndull , and long\t0\na joy\t1\n\nno fun\t0\n"
NEWS = (
    '"3","Fears for pension","Unions are ""disappointed""."\n'
    '"4","Private team","A second\\team of rocketeers\\nflies."\n'
    '"1","Talks","They meet, at last."\n"2","Cup","Two goals."\n'
)
BANKING = 'text,category\nWhere is my card?,card_arrival\n"I paid, in\nerror.",cancel_transfer\n' + "".join(
    f"Question {number} of each,{kind}\n" for number in range(4) for kind in ("card_arrival", "cancel_transfer")
)


def labelled(made, split="train"):
    texts, labels = getattr(made, f"{split}_images"), getattr(made, f"{split}_labels")
    return {text: made.classes[label] for text, label in zip(texts, labels, strict=True)}


def test_sst2_holds_the_sentences_without_a_line_of_nothing(prepared):
    files = {"train.tsv": FILMS.encode(), "test.tsv": b"so so\t0\n"}
    made = prepared({"dataset": "sst2", "tokenizer": ""}, **files)
    assert labelled(made) == {
        "a fine film": "positive", "dull , and long": "negative", "a joy": "positive", "no fun": "negative"
    }  # fmt: skip
    assert labelled(made, "test") == {"so so": "negative"}


def test_ag_news_joins_title_and_description(prepared):
    files = {"train.csv": NEWS.encode() * 2, "test.csv": NEWS.encode()}
    made = prepared({"dataset": "ag_news", "tokenizer": ""}, **files)
    assert len(made.train_labels) == 8
    assert labelled(made) == labelled(made, "test") == {
        'Fears for pension Unions are "disappointed".': "Business",
        "Private team A second team of rocketeers flies.": "Sci/Tech",
        "Talks They meet, at last.": "World",
        "Cup Two goals.": "Sports",
    }  # fmt: skip


def test_banking77_holds_questions_of_several_lines(prepared):
    files = {"train.csv": BANKING.encode(), "test.csv": BANKING.encode()}
    made = prepared({"dataset": "banking77", "tokenizer": ""}, **files)
    found = labelled(made)
    assert found["Where is my card?"] == "card_arrival"
    assert found["I paid, in error."] == "cancel_transfer"
    assert made.classes == ("cancel_transfer", "card_arrival")
    assert len(made.train_labels) == 10


def test_sms_spam_has_each_message_once_and_splits_by_kind(prepared):
    lines = [f"ham\tmessage {number}" for number in range(40)] + [f"spam\twin {number}" for number in range(10)]
    table = "\n".join(lines + lines[:3]).encode()
    made = prepared({"dataset": "sms_spam", "tokenizer": ""}, **{"sms.tsv": table})
    train, test = labelled(made), labelled(made, "test")
    assert (len(train), len(test)) == (40, 10)
    assert not train.keys() & test.keys()
    assert list(test.values()).count("spam") == 2
    assert train | test == dict(reversed(line.split("\t", 1)) for line in lines)


@pytest.mark.parametrize("name", ["sst2", "ag_news", "banking77", "sms_spam"])
def test_a_longer_text_is_cut_where_that_is_asked_for(prepared, name):
    tables = NEWS * 2 if name == "ag_news" else BANKING
    messages = "".join(f"{kind}\tmessage {kind} {number}\n" for number in range(9) for kind in ("ham", "spam"))
    files = {"train.tsv": FILMS, "test.tsv": FILMS, "train.csv": tables, "test.csv": tables, "sms.tsv": messages}
    options = {"dataset": name, "tokenizer": "", "longest": 5}
    made = prepared(options, **{file: text.encode() for file, text in files.items()})
    assert made.shape[1] == 5
