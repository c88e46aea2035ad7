"""Classes that look wrong: of a box or two, without any, misspelt, or missing from a split.

Uses missing_labels.py.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

from detlab.audit.kinds import Finding
from detlab.audit.missing_labels import classes_present
from detlab.data.records import Record, first_few

RARE = 10
"""A class with fewer boxes is rare …"""
TIMES = 20
"""… if another one has so many times more of them."""
LESS = 10
"""Of two similar names, one that has so many times fewer boxes looks like a slip."""
SHORTEST = 4
"""Letters and digits of a name of which one may be a slip; in shorter ones too many others are."""
EXPECTED = 5
"""Boxes that a split should have of a class, by its number of pictures, for none to be strange."""

Counts = Mapping[str, int]
"""Boxes of each class, by its name."""


def classes_to_look_at(
    splits: Mapping[str, Sequence[Record]], class_names: Sequence[str], counts: Counts
) -> list[Finding]:
    """All that is strange about classes, each with a picture that shows it, if there is one.

    Args:
        splits: sound records of each split, by its name.
        class_names: "background" first.
        counts: boxes of each class.
    """
    first = first_of_classes(splits)
    labels = {name: label for label, name in enumerate(class_names)}

    def finding(kind: str, name: str, what: str) -> Finding:
        records, boxes = first.get(labels[name], ((), ()))
        return Finding(kind, records, boxes, what)

    return [
        *(finding("similar names", *found) for found in similar_names(counts)),
        *(finding("rare class", *found) for found in rare_classes(counts)),
        *(finding("class without boxes", *found) for found in unused_classes(counts)),
        *(
            Finding("class missing from a split", (), (), what)
            for what in classes_missing_from_a_split(splits, class_names, counts)
        ),
    ]


def first_of_classes(
    splits: Mapping[str, Sequence[Record]],
) -> dict[int, tuple[tuple[Record], tuple[int]]]:
    """For each label the first picture that shows it, and the row of its box."""
    first: dict[int, tuple[tuple[Record], tuple[int]]] = {}
    for records in splits.values():
        for record in records:
            for row, label in enumerate(record.labels.tolist()):
                first.setdefault(label, ((record,), (row,)))
    return first


def rare_classes(counts: Counts) -> list[tuple[str, str]]:
    """Classes with very few boxes beside others with many: name, and what there is to say.

    >>> rare_classes({"cat": 90, "dog": 5, "eel": 4})
    [('eel', 'eel has 4 boxes, cat has 90')]
    """
    most = max(counts, key=lambda name: counts[name], default="")
    return [
        (name, f"{name} has {in_boxes(count)}, {most} has {counts[most]}")
        for name, count in counts.items()
        if 0 < count < RARE and TIMES * count <= counts[most]
    ]


def unused_classes(counts: Counts) -> list[tuple[str, str]]:
    """Classes that are named and that no box has.

    >>> unused_classes({"cat": 90, "dog": 0})
    [('dog', 'no box in any picture is called dog')]
    """
    return [
        (name, f"no box in any picture is called {name}")
        for name, count in counts.items()
        if count == 0
    ]


def in_boxes(count: int) -> str:
    """A number of boxes in words: "1 box", "2 boxes"."""
    return f"{count} box{'es' * (count != 1)}"


def similar_names(counts: Counts) -> list[tuple[str, str]]:
    """Classes that may be another one misspelt: name, and what there is to say.

    A name that differs in capitals or signs alone is always told, "Cat" beside "cat". One that is a
    letter apart or stands in another is told if it has ten times fewer boxes; and so is one that
    stands in several others, "bishop" beside "black-bishop" and "white-bishop".

    >>> similar_names({"cat": 90, "catt": 1, "car": 80})
    [('catt', 'catt (1 box) is written nearly as cat (90)')]
    """
    used = {name: count for name, count in counts.items() if count}
    found = []
    for fewer, more in written_nearly_alike(used):
        if plain(fewer) == plain(more) or LESS * used[fewer] <= used[more]:
            what = f"{fewer} ({in_boxes(used[fewer])}) is written nearly as {more} ({used[more]})"
            found.append((fewer, what))
    for name, others in standing_in_others(used).items():
        if len(others) > 1 or LESS * used[name] <= used[others[0]]:
            listed = first_few([f"{other} ({used[other]})" for other in others])
            found.append((name, f"{name} ({in_boxes(used[name])}) stands in {listed}"))
    return found


def written_nearly_alike(counts: Counts) -> list[tuple[str, str]]:
    """Pairs of names a letter apart, the one with fewer boxes first; digits may differ.

    Two names are a letter apart if they are equal when at most one letter of each is left out, so
    names meet by what is left of them.

    >>> written_nearly_alike({"cat": 9, "catt": 1, "car": 2, "dog1": 3, "dog2": 3})
    [('catt', 'cat')]
    """
    meeting = defaultdict(list)
    for name in counts:
        word = plain(name)
        places = [at for at, sign in enumerate(word) if sign.isalpha() and len(word) >= SHORTEST]
        for left in {word, *(word[:at] + word[at + 1 :] for at in places)} - {""}:
            meeting[left].append(name)
    pairs = dict.fromkeys(
        pair
        for names in meeting.values()
        for pair in combinations(names, 2)
        if a_letter_apart(*pair)
    )
    return [(one, other) if counts[one] <= counts[other] else (other, one) for one, other in pairs]


def a_letter_apart(one: str, other: str) -> bool:
    """Whether a letter was added, left out or changed, or nothing but capitals and signs.

    >>> a_letter_apart("cat", "catt"), a_letter_apart("cat", "cot"), a_letter_apart("cat", "act")
    (True, True, False)
    """
    short, long = sorted((plain(one), plain(other)), key=len)
    same = 0
    while same < len(short) and short[same] == long[same]:
        same += 1
    return short[same:] in (long[same:], long[same + 1 :]) or short[same + 1 :] == long[same + 1 :]


def standing_in_others(names: Sequence[str] | Counts) -> dict[str, list[str]]:
    """Names whose words are all in other, longer names, with those.

    >>> standing_in_others(["bishop", "black-bishop", "white_bishop", "hop"])
    {'bishop': ['black-bishop', 'white_bishop']}
    """
    words_of = {name: set(re.findall(r"[^\W_]+", name.lower())) for name in names}
    having = defaultdict(list)
    for name, words in words_of.items():
        for word in words:
            having[word].append(name)
    found = {}
    for name, words in words_of.items():
        longer = [other for other in having[min(words, default="")] if words < words_of[other]]
        if longer:
            found[name] = longer
    return found


def plain(name: str) -> str:
    """A name without capitals, spaces and signs.

    >>> plain("Traffic_light 2")
    'trafficlight2'
    """
    return re.sub(r"[\W_]", "", name.lower())


def classes_missing_from_a_split(
    splits: Mapping[str, Sequence[Record]], class_names: Sequence[str], counts: Counts
) -> list[str]:
    """Classes that a split has no box of, though it should by its number of pictures.

    Train should have all of them, or nothing is learned of one.
    """
    pictures = sum(map(len, splits.values()))
    found = []
    for split, records in splits.items():
        here = classes_present(records, len(class_names)).any(dim=0).tolist()
        for name, shown in zip(class_names[1:], here[1:], strict=True):
            expected = counts[name] * len(records) / max(1, pictures)
            if counts[name] and not shown and (expected >= EXPECTED or split == "train"):
                found.append(f"no {name} in {split}, {in_boxes(counts[name])} elsewhere")
    return found
