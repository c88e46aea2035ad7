"""The proof that the checks check: `make exercises` prints it as a table.

For each exercise: every planted mistake must be caught and called by its own name, and every
version of the package's function with one thing changed must be caught.
"""

import sys
from dataclasses import astuple, dataclass
from pathlib import Path
from unittest.mock import patch

from detlab.course import exercises

sys.path.insert(0, str(Path(__file__).parents[3]))
from tests.course.exercises.equivalent import EQUIVALENT
from tests.course.exercises.perturb import perturbations

COLUMNS = (
    "exercise", "cases", "mistakes planted", "caught", "named right",
    "changes tried", "changes caught",
)  # fmt: skip


@dataclass(frozen=True)
class Proof:
    """What became of one exercise's mistakes and changes."""

    exercise: str
    cases: int
    planted: int
    caught: int
    named: int
    tried: int
    found: int

    @property
    def whole(self):
        """Nothing slipped through."""
        return self.planted == self.caught == self.named and self.tried == self.found


def prove(name):
    """Judge all mistakes and all changed versions of one exercise."""
    exercise = exercises.ALL[name]
    verdicts = {key: exercise.grade(mistake.function) for key, mistake in exercise.mistakes.items()}
    tried = perturbations(exercise.reference)
    tried = {key: version for key, version in tried.items() if key not in EQUIVALENT.get(name, {})}
    return Proof(
        name,
        len(exercise.cases),
        len(verdicts),
        sum(verdict.status == "wrong" for verdict in verdicts.values()),
        sum(verdict.mistake == key for key, verdict in verdicts.items()),
        len(tried),
        len(tried) - len(survivors(exercise, tried)),
    )


def survivors(exercise, tried):
    """The changed versions that pass the check."""
    with patch("detlab.course.exercises.call.LIMIT", 3.0):
        return [key for key, version in tried.items() if exercise.grade(version).passed]


def table(proofs):
    """The proofs as a Markdown table."""
    lines = [" | ".join(COLUMNS), " | ".join("---" for _ in COLUMNS)]
    lines += [" | ".join(map(str, astuple(proof))) for proof in proofs]
    return "\n".join(f"| {line} |" for line in lines)


def main():
    """Print the table; leave with 1 where something slipped through."""
    proofs = [prove(name) for name in exercises.ALL]
    print(table(proofs))
    sys.exit(not all(proof.whole for proof in proofs))


if __name__ == "__main__":
    main()
