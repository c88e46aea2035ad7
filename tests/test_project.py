"""The order of the story stands in three places, and every module has its test."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import detlab

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())


def folder_modules():
    """Files and packages of detlab/, by name."""
    package = ROOT / "detlab"
    files = {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}
    return files | {path.parent.name for path in package.glob("*/__init__.py")}


def map_modules():
    """What the map in detlab/__init__.py lists, in its order: indented lines, name first."""
    return re.findall(r"^ +(\w+)/? +\S", detlab.__doc__, flags=re.MULTILINE)


def layer_modules():
    """What the import contract lists, top to bottom."""
    (contract,) = SETTINGS["tool"]["importlinter"]["contracts"]
    assert contract["exhaustive"]
    assert contract["exhaustive_ignores"] == ["__main__"]
    return [name.strip() for line in contract["layers"] for name in re.split(r"[|:]", line)]


def test_every_module_has_its_test_file():
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests").glob("test_*.py")}
    tests |= {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert folder_modules() - tests == set()


@pytest.mark.parametrize("listed", [map_modules, layer_modules])
def test_the_lists_name_every_module_of_the_folder_once(listed):
    names = listed()
    assert len(names) == len(set(names))
    assert set(names) == folder_modules()


def test_the_readme_tells_the_same_story_in_the_same_order():
    readme = (ROOT / "README.md").read_text()
    told = re.findall(r"^    (\w+)(?:\.py|/) +(\S.*)$", readme, flags=re.MULTILINE)
    assert told == re.findall(r"^    (\w+) +(\S.*)$", detlab.__doc__, flags=re.MULTILINE)


def test_the_map_holds_no_code():
    (map_only,) = ast.parse((ROOT / "detlab" / "__init__.py").read_text()).body
    assert isinstance(map_only, ast.Expr)


def test_what_pytest_alone_leaves_out_is_run_by_make_test():
    assert "-m 'not slow'" in SETTINGS["tool"]["pytest"]["ini_options"]["addopts"]
    recipe = re.search(r"^test:.*\n((?:\t.+\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert '-m "slow or not slow"' in recipe[1]


def test_the_core_imports_neither_widgets_nor_plots():
    script = "import detlab, detlab.detector.model, detlab.training.loop, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "detlab.detector.losses" in loaded
    unwanted = {"ipywidgets", "anywidget", "matplotlib", "IPython"}
    assert unwanted & set(loaded) == set()


def test_the_package_itself_imports_nothing():
    script = "import sys; before = set(sys.modules); import detlab; print(*set(sys.modules)-before)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert loaded == ["detlab"]


def test_conda_installs_the_package_and_repeats_none_of_its_dependencies():
    text = (ROOT / "environment.yml").read_text()
    entries = re.findall(r"^ *- (.+)$", text, flags=re.MULTILINE)
    names = {re.split(r"[<>=\[ ]", entry)[0] for entry in entries}
    listed = SETTINGS["project"]["dependencies"]
    ours = {re.split(r"[<>=\[ ]", dependency)[0] for dependency in listed}
    assert names & ours == set()
    assert any(re.fullmatch(r"(-e|--editable) \.(\[\w+\])?", entry) for entry in entries)
    python = next(entry for entry in entries if entry.startswith("python"))
    assert SETTINGS["project"]["requires-python"].lstrip(">=") in python


def test_the_version_stands_in_one_place():
    assert not hasattr(detlab, "__version__")
