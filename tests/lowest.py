"""Print the lowest versions that pyproject.toml allows, as constraints for pip.

`make test-lowest` installs exactly these, so that no lower bound is a guess.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lowest(requirement: str) -> str:
    """The constraint that leaves one version of a package.

    >>> lowest("torch>=2.9")
    'torch==2.9'
    """
    [(name, version)] = re.findall(r"^([\w.-]+)[>=]=([\w.]+)", requirement)
    return f"{name}=={version}"


def constraints() -> Iterator[str]:
    """One for each package that is named, developers' tools included."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    for requirements in (project["dependencies"], *project["optional-dependencies"].values()):
        yield from (lowest(entry) for entry in requirements if not entry.startswith("detlab["))


if __name__ == "__main__":
    print(*constraints(), sep="\n")
