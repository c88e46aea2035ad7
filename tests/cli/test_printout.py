"""What the commands say: aligned, whole, and with a dash where there is no number."""

import json
import math

from detlab.cli.printout import in_words, metrics_row, print_metrics, print_table
from detlab.metrics.coco import Metrics

METRICS = Metrics({"AP": 0.5, "AP_large": math.nan}, {"cat": 0.25, "dogfish": math.nan}, 12.4)


def test_an_evaluation_is_one_number_a_line_with_a_dash_where_there_was_none(capsys):
    print_metrics(METRICS)
    assert capsys.readouterr().out.splitlines() == [
        "AP             0.500",
        "AP_large       –",
        "AP of cat      0.250",
        "AP of dogfish  –",
        "pictures/s     12",
    ]


def test_as_json_a_number_that_is_none_is_null():
    row = metrics_row(METRICS)
    assert row["class_ap"] == {"cat": 0.25, "dogfish": None}
    assert (row["AP"], row["AP_large"], row["images_per_second"]) == (0.5, None, 12.4)
    assert json.loads(json.dumps(row, allow_nan=False)) == row


def test_columns_are_as_wide_as_their_widest_cell_and_end_without_spaces(capsys):
    print_table([{"name": "reef", "what": "drawn"}, {"name": "aquarium", "what": "photographs"}])
    assert capsys.readouterr().out.splitlines() == [
        "name      what",
        "reef      drawn",
        "aquarium  photographs",
    ]


def test_of_many_classes_the_first_are_counted():
    assert in_words({f"class{row}": row for row in range(300)}).endswith("19 class19 and 280 more")
