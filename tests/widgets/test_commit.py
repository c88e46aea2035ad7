"""A commit locks the answer, replies, and remembers."""

import pytest

from detlab.course.progress import read_progress
from detlab.widgets import Commit

OPTIONS = {"1/2": "Of what?", "1/3": "50 of 150.", "1/4": "In both directions."}


def ask(**settings):
    return Commit("How well do they agree?", OPTIONS, **{"answer": "1/3", **settings})


def test_an_answer_is_locked_and_gets_its_own_reply():
    question = ask()
    assert repr(question) == "<Commit: not answered yet>"
    question.commit(1)
    assert question._header.note == "Not quite; it is 1/3. Of what?"
    assert not question.right
    with pytest.raises(ValueError, match="committed to '1/2' before"):
        question.commit(2)
    question.buttons["1/4"].click()
    question.confirm.click()
    assert question.chosen == "1/2"


def test_the_browser_way_is_pick_and_confirm():
    question = ask()
    question.confirm.click()
    assert question.chosen is None
    question.buttons["1/4"].click()
    question.buttons["1/3"].click()
    assert question.chosen is None
    question.confirm.click()
    assert question.right
    assert question._header.note == "Right. 50 of 150."


def test_answers_are_remembered_under_their_key():
    ask(key="02-half").commit("1/3")
    assert read_progress()["commits"] == {"02-half": "1/3"}
    assert ask(key="02-half").right
    assert ask(key="other").chosen is None
    assert ask().chosen is None


@pytest.mark.parametrize("option", [0, 4, "1/5"])
def test_an_unknown_option_is_refused(option):
    with pytest.raises(ValueError, match="option: want"):
        ask().commit(option)


def test_a_question_without_its_answer_is_refused():
    with pytest.raises(ValueError, match="answer: want one of"):
        ask(answer="2/3")


def test_a_reader_without_a_kernel_sees_question_and_options():
    words = ask()._repr_mimebundle_()["text/markdown"]
    assert "How well do they agree?" in words
    assert "2. 1/3" in words
    assert "50 of 150" not in words
