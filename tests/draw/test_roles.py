import itertools
import subprocess
import sys

import pytest

from detlab.draw.roles import CASING, ROLES, find_role

AS_SEEN_WITHOUT = {  # linear RGB to what is left of it; Machado, Oliveira and Fernandes 2009
    "nothing": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "red": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "green": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    "blue": ((1.256, -0.077, -0.179), (-0.078, 0.931, 0.148), (0.005, 0.691, 0.304)),
}


def linear_rgb(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def times(matrix, vector):
    return [sum(m * v for m, v in zip(row, vector, strict=True)) for row in matrix]


def luminance(colour):
    return times([(0.2126, 0.7152, 0.0722)], linear_rgb(colour))[0]


def lab(colour, lost):
    rgb = [min(1, max(0, c)) for c in times(AS_SEEN_WITHOUT[lost], linear_rgb(colour))]
    xyz = times(((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505)), rgb)
    x, y, z = (
        (value / white) ** (1 / 3) for value, white in zip(xyz, (0.9505, 1, 1.089), strict=True)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def test_each_role_has_a_line_style_of_its_own():
    assert len({role.dash for role in ROLES.values()}) == len(ROLES)
    assert len({role.colour for role in ROLES.values()}) == len(ROLES)


@pytest.mark.parametrize("name", ROLES)
def test_each_colour_stands_out_from_its_dark_edge(name):
    contrast = (luminance(find_role(name).colour) + 0.05) / (luminance(CASING) + 0.05)
    assert contrast > 7  # WCAG's AAA for text: the captions' plates carry letters of this colour


@pytest.mark.parametrize("lost", AS_SEEN_WITHOUT)
def test_colours_stay_apart_without_full_colour_vision(lost):
    for a, b in itertools.combinations(ROLES.values(), 2):
        difference = [p - q for p, q in zip(lab(a.colour, lost), lab(b.colour, lost), strict=True)]
        assert sum(d * d for d in difference) ** 0.5 > 10, (a.meaning, b.meaning)


def test_an_unknown_role_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'guess'; there are negative, .*truth"):
        find_role("guess")


def test_another_table_can_be_asked():
    assert find_role("truth", {"truth": ROLES["prediction"]}) is ROLES["prediction"]


def test_the_table_needs_no_drawing_library():
    code = "import sys, detlab.draw.roles; print({'matplotlib', 'torch'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "set()"
