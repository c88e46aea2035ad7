"""What is kept of long trainings: read whole, the newest counts, and a table of it."""

import json
from pathlib import Path

import pytest

from detlab.course import records
from detlab.course.records import ladder, newest, read_record, seconds_to, spread


def trial(rung, seconds, seed, ap):
    return {"rung": rung, "seconds": seconds, "seed": seed, "AP": ap, "AP75": ap + 0.1}


TRIALS = [
    trial("low", seconds, seed, ap)
    for seconds, aps in ((60.0, (0.6, 0.5, 0.52)), (120.0, (0.69, 0.8, 0.7)))
    for seed, ap in enumerate(aps)
]


def test_the_ladder_shows_medians_and_who_reached_the_goal():
    head, _, first, second = ladder(TRIALS, ["low", "high"], goal=0.7).splitlines()
    assert head == "| rung | AP, AP75 after 60 s | AP, AP75 after 120 s | seconds to AP 0.70 |"
    cells = "0.520 (0.500–0.600), 0.620 | 0.700 (0.690–0.800), 0.800 | 120 |"
    assert first == f"| low | {cells}"
    assert second == "| high | – | – | – |"


@pytest.mark.parametrize(("goal", "seconds"), [(0.52, 60.0), (0.53, 120.0), (0.71, None)])
def test_a_goal_is_reached_by_the_median(goal, seconds):
    assert seconds_to(goal, TRIALS, "low") == seconds


def test_a_later_training_replaces_an_earlier_one_of_the_same_rung_budget_and_seed():
    again = trial("low", 60.0, 0, 0.9)
    other = trial("low", 60.0, 7, 0.9)
    assert newest([*TRIALS, again, other]) == [again, *TRIALS[1:], other]


def test_a_record_is_read_line_by_line(monkeypatch, tmp_path):
    monkeypatch.setattr(records, "RECORDS", tmp_path)
    text = "".join(json.dumps({"rung": name}) + "\n" for name in ("flach – fällt", "b"))
    (tmp_path / "some.jsonl").write_text(text, encoding="utf-8")
    assert read_record("some") == [{"rung": "flach – fällt"}, {"rung": "b"}]


def test_every_row_of_the_speedruns_record_says_how_it_came_about():
    rows = read_record("speedrun")
    assert rows
    for row in rows:
        assert 0 < row["AP"] < row["AP50"] < 1
        assert not row["dev"]
        assert {"processor", "cores", "date"} <= row["machine"].keys()
        assert row["commit"]
        assert row["steps"] > 0


def test_a_spread_is_the_median_and_the_range():
    assert spread([3.0, 1.0, 10.0], digits=1) == "3.0 (1.0–10.0)"
    assert spread([0.7136]) == "0.71"


def test_the_readme_shows_the_ladder_of_the_record():
    trials = newest(read_record("speedrun"))
    rungs = list(dict.fromkeys(trial["rung"] for trial in trials))
    shown = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert f"<!-- ladder -->\n{ladder(trials, rungs, goal=0.7)}\n<!-- /ladder -->" in shown
