"""Progress read lesson by lesson."""

from detlab.course import exercises
from detlab.course.lessons import COURSE, find_lesson
from detlab.course.progress import remember
from detlab.course.status import all_statuses, next_lesson, status_json, status_of, status_rows


def test_nothing_is_done_at_first():
    statuses = all_statuses()
    assert [status.lesson for status in statuses] == list(COURSE)
    assert not any(status.commits or status.solved or status.finished for status in statuses)
    assert next_lesson(statuses) == COURSE[0]


def test_commits_count_for_the_lesson_in_their_key():
    remember("commits", "02-half", "1/3")
    remember("commits", "02-other", "a")
    remember("commits", "03-first", "no")
    assert [status_of(find_lesson(number)).commits for number in (2, 3, 4)] == [2, 1, 0]


def test_exercises_are_solved_one_by_one():
    names = list(exercises.in_lesson("02"))
    exercises.box_iou.check(exercises.box_iou.reference)
    status = status_of(find_lesson(2))
    assert status.solved == ("box_iou",)
    assert set(status.unsolved) == set(names) - {"box_iou"}
    row = status_rows([status])[0]
    assert row["built"] == f"1 of {len(names)}"


def test_what_is_finished_leads_on():
    for lesson in COURSE[:3]:
        remember("lessons", lesson.number, "2026-01-31")
    assert next_lesson(all_statuses()) == COURSE[3]
    assert [row["finished"] for row in status_json(all_statuses())][2:4] == ["2026-01-31", None]
    for lesson in COURSE:
        remember("lessons", lesson.number, "2026-01-31")
    assert next_lesson(all_statuses()) is None
