"""The layout is written once, in the map of detlab/__init__.py; all else is held to it."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import detlab

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "detlab"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
LINE = re.compile(r"^( *)([\w/]+)(\.py|/) +\S.*$", re.MULTILINE)


def map_tree():
    """The map without the words before it, as it stands in the README."""
    lines = ast.get_docstring(ast.parse((PACKAGE / "__init__.py").read_text())).splitlines()
    first = next(row for row, line in enumerate(lines) if line.startswith("    "))
    return "\n".join(line.removeprefix("    ") for line in lines[first:])


def map_paths():
    """Every file and folder of the map, as paths below detlab/, in its order."""
    folder, paths = "", []
    for indent, name, ending in LINE.findall(map_tree()):
        folder = "" if not indent else folder
        paths.append(f"{folder}{name}{ending}")
        folder = f"{name}/" if not indent and ending == "/" else folder
    return paths


def rank_of(module):
    """Where a module stands in the map: its own line, or that of the folder it lies in."""
    parts, paths = module.split(".")[1:], map_paths()
    for length in range(len(parts), 0, -1):
        place = "/".join(parts[:length])
        for ending in (".py", "/"):
            if place + ending in paths:
                return paths.index(place + ending)
    return -1  # detlab itself


def sources():
    """Every file of the package, as a module's name and a path."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        yield name.removesuffix(".__init__"), path


def imported(tree):
    """The modules of detlab that a file imports, wherever the import stands in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("detlab"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                is_module = (ROOT / inner.replace(".", "/")).with_suffix(".py").exists()
                is_package = (ROOT / inner.replace(".", "/") / "__init__.py").exists()
                yield inner if is_module or is_package else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("detlab"))


def test_the_map_names_every_file_and_folder_once():
    there = set()
    for _, path in sources():
        inside = path.relative_to(PACKAGE).as_posix()
        folders = [place for place in map_paths() if place.endswith("/")]
        deepest = max((f for f in folders if inside.startswith(f)), key=len, default="")
        listed_alone = deepest in ("widgets/", "course/exercises/", "data/corrections/")
        if path.name not in ("__init__.py", "__main__.py") and not listed_alone:
            there.add(inside)
        if deepest:
            there.add(deepest)
    assert sorted(map_paths()) == sorted(there)


def test_a_file_uses_only_files_above_it_in_the_map():
    backwards = [
        f"{name} imports {other}"
        for name, path in sources()
        if name not in ("detlab", "detlab.__main__") and path.name != "__main__.py"
        for other in imported(ast.parse(path.read_text()))
        if rank_of(other) > rank_of(name)
        and not (path.name == "__init__.py" and other.startswith(f"{name}."))
    ]
    assert backwards == []


def test_the_import_contract_has_the_folders_of_the_map_in_its_order():
    (contract,) = SETTINGS["tool"]["importlinter"]["contracts"]
    assert contract["exhaustive"]
    assert contract["exhaustive_ignores"] == ["__main__"]
    layers = [re.split(r" \| ", line) for line in reversed(contract["layers"])]
    top = [place.removesuffix(".py").removesuffix("/") for place in map_paths()]
    top = [name for name in top if "/" not in name]
    for layer in layers:
        assert set(layer) == set(top[: len(layer)])
        top = top[len(layer) :]
    assert top == []


def test_the_readme_shows_the_map():
    assert map_tree() in (ROOT / "README.md").read_text()


def docstrings():
    """The opening words of every file."""
    for name, path in sources():
        if name != "detlab":
            yield name, path, ast.get_docstring(ast.parse(path.read_text())) or ""


def test_files_that_opening_words_name_are_there():
    files = {path.name for _, path in sources()} | {f"{p.parent.name}.py" for _, p in sources()}
    others = {"bench.py", "build.py", "NAME.py", "lesson_NN.py", "NN_question.py"}
    stale = [
        f"{name}: {word}"
        for name, _, words in docstrings()
        for word in re.findall(r"\b\w+\.py\b", words)
        if word not in files | others
    ]
    assert stale == []


def test_opening_words_follow_what_is_above_and_use_what_is_imported():
    wrong = []
    for name, path, words in docstrings():
        uses = {other.rpartition(".")[2] for other in imported(ast.parse(path.read_text()))}
        for kind, told in re.findall(r"\b(Follows|Uses) ((?:[\w/]+\.py(?:, | and )?)+)", words):
            for word in re.findall(r"(\w+)\.py", told):
                ranks = [rank_of(other) for other, _ in sources() if other.endswith(f".{word}")]
                if kind == "Uses" and word not in uses:
                    wrong.append(f"{name} does not import {word}")
                if kind == "Follows" and min(ranks, default=999) > rank_of(name):
                    wrong.append(f"{name} stands before {word}")
    assert wrong == []


def test_every_file_has_its_test_file():
    tests = ROOT / "tests"
    missing = [
        place
        for place in map_paths()
        if place.endswith(".py")
        and not (tests / Path(place).with_name(f"test_{Path(place).name}")).exists()
    ]
    assert missing == []
    assert list((tests / "widgets").glob("test_*.py"))
    assert list((tests / "course" / "exercises").glob("test_*.py"))


@pytest.mark.parametrize("name", detlab.FRONT_DOOR)
def test_the_front_door_opens(name):
    thing = getattr(detlab, name)
    assert thing.__name__ == name
    assert thing.__module__ == f"detlab.{detlab.FRONT_DOOR[name]}"
    assert name in dir(detlab)


def test_the_front_door_is_typed():
    (block,) = (
        node
        for node in ast.parse((PACKAGE / "__init__.py").read_text()).body
        if isinstance(node, ast.If)
    )
    typed = {
        alias.name: node.module.removeprefix("detlab.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == detlab.FRONT_DOOR


def test_the_first_example_of_the_readme_runs_as_it_stands(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    example = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    assert len([line for line in example.splitlines() if line]) == 4
    exec(example, {})
    assert "'scores': tensor([" in capsys.readouterr().out


def test_what_is_not_behind_the_front_door_is_told():
    with pytest.raises(AttributeError, match="module 'detlab' has no attribute 'detects'"):
        detlab.detects  # noqa: B018


def test_the_version_stands_in_one_place():
    assert detlab.__version__ == version("detlab") == SETTINGS["project"]["version"]


def modules_after(code):
    """What a fresh Python has loaded after some code."""
    words = [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=True, timeout=120)
    return set(done.stdout.decode().split())


def test_the_package_itself_imports_nothing_heavy():
    loaded = modules_after("import detlab") - modules_after("pass")
    assert [name for name in loaded if name.startswith("detlab")] == ["detlab"]
    assert {name.partition(".")[0] for name in loaded} <= {"detlab", *sys.stdlib_module_names}


@pytest.mark.parametrize(
    "module", ["detlab.detector.tiling", "detlab.training.loop", "detlab.metrics.coco"]
)
def test_the_detector_imports_neither_jupyter_nor_plots(module):
    loaded = modules_after(f"import {module}")
    assert module in loaded
    unwanted = {
        "ipywidgets",
        "anywidget",
        "matplotlib",
        "IPython",
        "jupyterlab",
        "ipykernel",
        "nbformat",
    }
    assert unwanted & set(loaded) == set()


def test_what_pytest_alone_leaves_out_is_run_by_make_test():
    assert "-m 'not slow'" in SETTINGS["tool"]["pytest"]["ini_options"]["addopts"]
    recipe = re.search(r"^test:.*\n((?:\t.+\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert '-m "slow or not slow"' in recipe[1]


def test_the_commands_need_nothing_of_the_course():
    course = sorted(extra("course") | {"IPython", "traitlets"})
    without = f"sys.modules |= dict.fromkeys({course})"
    commands = ("audit.sheet", "cli.commands", "cli.detect_files", "cli.doctor", "course.status")
    imports = ", ".join(f"detlab.{name}" for name in commands)
    assert "detlab.draw.figures" in modules_after(f"{without}; import {imports}")


def calls_in_tests():
    """Each call in the tests: where it stands, what is called, and its arguments."""
    for path in (ROOT / "tests").rglob("*.py"):
        if "benchmarks" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    yield f"{path.name}:{node.lineno}", ast.unparse(node.func), node


def test_no_test_waits_for_a_process_for_ever():
    waits = re.compile(r"subprocess\.(run|call|check_\w+)|\w+\.(communicate|wait)")
    seen = [(place, node) for place, name, node in calls_in_tests() if waits.fullmatch(name)]
    assert len(seen) > 10
    endless = [
        place for place, node in seen if "timeout" not in {word.arg for word in node.keywords}
    ]
    assert endless == []
    assert SETTINGS["tool"]["pytest"]["ini_options"]["timeout"] <= 900


def names(requirements):
    """The packages of a list of requirements, without their bounds."""
    return {re.split(r"[<>=\[ ]", requirement)[0] for requirement in requirements}


def extra(name):
    """The packages that an extra brings."""
    return names(SETTINGS["project"]["optional-dependencies"][name])


def test_conda_installs_the_package_and_repeats_none_of_its_dependencies():
    text = (ROOT / "environment.yml").read_text()
    entries = re.findall(r"^ *- (.+)$", text, flags=re.MULTILINE)
    ours = names(SETTINGS["project"]["dependencies"]) | extra("course") | extra("dev")
    assert names(entries) & ours == set()
    assert any(re.fullmatch(r"(-e|--editable) \.(\[\w+\])?", entry) for entry in entries)
    python = next(entry for entry in entries if entry.startswith("python"))
    assert SETTINGS["project"]["requires-python"].lstrip(">=") in python
