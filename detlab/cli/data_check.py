"""What `detlab data check` says: how a set is understood, its faults, and what deserves a look.

Uses datasets.py, check.py, findings.py, page.py and printout.py.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detlab.audit.kinds import Finding, in_order
from detlab.cli.printout import in_words
from detlab.data.check import Checked, check_all
from detlab.data.datasets import Survey, find_data, look_at
from detlab.data.records import Fault, Note, Record, in_few_words
from detlab.data.splits import UNSPLIT

if TYPE_CHECKING:
    from detlab.audit.findings import Audit

FAULTS = 20
"""Faults that are printed one by one."""
ALIKE = (
    "alike: so much of the light and dark in them is the same, without what the whole set shares"
)


def print_check(
    what: str,
    out: Sequence[Path] = (),
    allow_outside: Sequence[Path] = (),
    as_json: bool = False,
) -> int:
    """Print all that is wrong with a set, and what is worth a look; return the number of faults.

    Args:
        what: a name or a folder.
        out: files for all that is worth a look: a table (.csv), a sheet of pictures (.png).
        allow_outside: other folders where the pictures of a folder may lie.
        as_json: print one JSON object instead.
    """
    from detlab.audit.findings import audit
    from detlab.audit.thumbnails import Album

    seen = look_at(what, allow_outside)
    album = Album()
    checked = {split: check_all(found, album) for split, found in seen.splits.items()}
    sound = {split: found.sound for split, found in checked.items()}
    pictures = sum(map(len, sound.values()))
    found = audit(sound, seen.class_names, album) if pictures else None
    faults = [fault for one in checked.values() for fault in one.faults]
    if as_json:
        print(json.dumps(as_json_object(seen, checked, found), indent=2))
    else:
        print_survey(seen, checked)
        print_faults(find_data(what), faults)
        if found:
            print_audit(found, pictures)
    findings = in_order([*found.findings, *found.about_classes]) if found else []
    save(findings, seen, sound, out)
    return len(faults)


def print_survey(seen: Survey, checked: Mapping[str, Checked]) -> None:
    """Print how a set is understood, in three lines, then what is not used of it."""
    pictures = {
        "in no splits" if split == UNSPLIT else split: len(found.sound)
        for split, found in checked.items()
    }
    bare = [f"{number} {split} without labels" for split, number in seen.unlabelled.items()]
    print(seen.words)
    print(f"pictures: {'; '.join([in_words(pictures), *bare])}")
    print(f"boxes: {in_words(count_boxes(checked, seen.class_names)) or 'none'}")
    for line in in_few_words(notes_of(checked)):
        print(line)


def notes_of(checked: Mapping[str, Checked]) -> list[Note]:
    """What is to be said of all splits; what is said of the whole folder, once."""
    return list(dict.fromkeys(note for found in checked.values() for note in found.notes))


def count_boxes(checked: Mapping[str, Checked], class_names: Sequence[str]) -> dict[str, int]:
    """The sound boxes of each class."""
    counts = Counter(
        label for found in checked.values() for one in found.sound for label in one.labels.tolist()
    )
    return {name: counts[row] for row, name in enumerate(class_names) if row}


def as_json_object(
    seen: Survey, checked: Mapping[str, Checked], found: "Audit | None"
) -> dict[str, Any]:
    """All that is known of a set, as JSON has it."""
    findings = in_order([*found.findings, *found.about_classes]) if found else []
    return {
        "layout": seen.words,
        "splits": {
            split: {
                "pictures": len(one.sound),
                "boxes": sum(len(record.boxes) for record in one.sound),
            }
            for split, one in checked.items()
        },
        "without_labels": seen.unlabelled,
        "classes": count_boxes(checked, seen.class_names),
        "notes": [note._asdict() for note in notes_of(checked)],
        "faults": [
            {"split": split, "file": str(fault.file), "record": fault.record, "what": fault.what}
            for split, one in checked.items()
            for fault in one.faults
        ],
        "findings": [
            {"kind": one.kind, "pictures": list(map(str, one.pictures)), "what": one.what}
            for one in findings
        ],
    }


def save(
    findings: Sequence[Finding],
    seen: Survey,
    sound: Mapping[str, Sequence[Record]],
    out: Sequence[Path],
) -> None:
    """Write what is worth a look to files, faulty boxes first."""
    from detlab.audit.sheet import faulty_boxes

    published = {name: found.records for name, found in seen.splits.items()}
    faulty = faulty_boxes(
        chain.from_iterable(published.values()), chain.from_iterable(sound.values())
    )
    for path in out:
        if path.suffix.lower() == ".csv":
            both = {name: [*records, *sound[name]] for name, records in published.items()}
            save_table([*faulty, *findings], both, path)
        else:
            draw_sheet([*faulty, *findings], seen.class_names, path)


def print_faults(folder: Path, faults: Sequence[Fault]) -> None:
    """Print the first faults of a folder, and how many there are."""
    for fault in faults[:FAULTS]:
        print(fault)
    if len(faults) > FAULTS:
        print(f"… and {len(faults) - FAULTS} more; --json prints all")
    print(f"{folder}: {len(faults) or 'no'} fault{'s' * (len(faults) != 1)}")


def print_audit(found: "Audit", pictures: int) -> None:
    """Print what is worth a second look, and what the set is like, on 20 lines."""
    from detlab.audit.page import page

    print(f"\nworth a second look, of {pictures} pictures:")
    findings = in_order([*found.findings, *found.about_classes])
    for line in page(findings):
        print(f"  {line}")
    print("  nothing" if not findings else f"  {len(findings)} in all; --out audit.csv lists them")
    if any(finding.alike is not None for finding in findings):
        print(f"  ({ALIKE})")
    print(f"sizes: {in_words(found.sizes)}")
    for limit, crowded in found.crowded.items():
        lost = found.lost[limit]
        print(
            f"with a neighbour of its class, IoU from {limit}: {crowded:.1%} of the boxes;"
            f" NMS at {limit} would lose {lost:.1%} of perfect boxes"
        )


def save_table(
    findings: Sequence[Finding], splits: Mapping[str, Sequence[Record]], out: Path
) -> None:
    """Write all findings to a file, and say so."""
    from detlab.audit.page import write_table

    write_table(findings, splits, out)
    print(f"{len(findings)} findings are listed in {out}")


def draw_sheet(findings: Sequence[Finding], class_names: Sequence[str], out: Path) -> None:
    """Draw findings to a file, if there are any."""
    from detlab.audit.sheet import MOST, draw_findings
    from detlab.draw.figures import save_figure

    if any(finding.records for finding in findings):
        save_figure(draw_findings(findings, class_names), out)
        print(f"drawn in {out}, at most {MOST} of a kind")
    else:
        print("nothing to draw")
