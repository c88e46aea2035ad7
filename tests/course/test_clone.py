"""Small repositories, a learner's clone of each, and a version that comes."""

import os
import shutil
import subprocess
import sys

import nbformat
import pytest

from detlab.course import clone
from detlab.course.clone import update_clone
from detlab.course.lessons import NOTEBOOKS
from detlab.course.own_cells import new_cell
from detlab.course.update import AS_SHIPPED, UpdateError
from detlab.errors import DetlabError

ME = ["-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "commit.gpgsign=false"]
LESSON = "02_where_is_it.ipynb"


def git(place, *words):
    command = ["git", *ME, "-C", str(place), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def release(place, *texts, **files):
    """Commit a version with lesson 02 of these cells."""
    (place / "notebooks").mkdir(exist_ok=True)
    cells = [new_cell("code", text) for text in texts]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), place / "notebooks" / LESSON)
    for name, text in files.items():
        (place / f"{name}.toml").write_text(text)
    git(place, "add", "--all")
    git(place, "commit", "-qm", "a version")


@pytest.fixture
def origin(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    place = tmp_path / "origin"
    place.mkdir()
    git(place, "init", "-q", "-b", "main")
    release(place, "x = 1", pyproject="version = 1", other="")
    return place


@pytest.fixture
def notebooks(origin, tmp_path, monkeypatch):
    """A learner's clone, one version behind; the new code's part is noted, not done."""
    subprocess.run(
        ["git", "clone", "-q", str(origin), str(tmp_path / "mine")], check=True, timeout=60
    )
    release(origin, "x = 2")
    calls = []
    monkeypatch.setattr(clone, "carry_with_new_code", lambda *given: calls.append(given))
    monkeypatch.setattr(clone, "handed_on", calls, raising=False)
    return tmp_path / "mine" / "notebooks"


def snapshot(notebooks):
    return {path.name: path.read_bytes() for path in notebooks.glob("*.ipynb")}


def test_changed_notebooks_are_set_aside_whole_and_handed_on(notebooks, origin):
    (notebooks / LESSON).write_text("my work")
    (notebooks / "scratch.ipynb").write_text("not git's")
    (told,) = update_clone(notebooks)
    ((folder, _),) = clone.handed_on
    assert str(folder) in told
    assert folder.parent == notebooks
    assert (folder / LESSON).read_text() == "my work"
    assert nbformat.read(folder / AS_SHIPPED / LESSON, 4).cells[0].source == "x = 1"
    assert nbformat.read(notebooks / LESSON, 4).cells[0].source == "x = 2"
    assert (notebooks / "scratch.ipynb").read_text() == "not git's"
    assert git(notebooks, "rev-parse", "HEAD") == git(origin, "rev-parse", "HEAD")


def test_without_changes_the_version_comes_all_the_same(notebooks):
    assert list(update_clone(notebooks)) == []
    assert clone.handed_on == [(notebooks, notebooks)]
    assert nbformat.read(notebooks / LESSON, 4).cells[0].source == "x = 2"


def test_a_lesson_that_was_deleted_comes_back(notebooks):
    (notebooks / LESSON).unlink()
    list(update_clone(notebooks))
    assert nbformat.read(notebooks / LESSON, 4).cells[0].source == "x = 2"


def test_what_git_was_told_to_commit_is_set_aside_too(notebooks):
    (notebooks / LESSON).write_text("my work")
    (notebooks / "mine.ipynb").write_text("new")
    git(notebooks, "add", "--all")
    list(update_clone(notebooks))
    assert (clone.handed_on[0][0] / LESSON).read_text() == "my work"
    assert (notebooks / "mine.ipynb").read_text() == "new"


def test_nothing_to_do(notebooks):
    list(update_clone(notebooks))
    (notebooks / LESSON).write_text("my work")
    assert list(update_clone(notebooks)) == ["this is the newest version: nothing to do"]
    assert (notebooks / LESSON).read_text() == "my work"


def test_new_packages_are_told(notebooks, origin):
    release(origin, "x = 2", pyproject="version = 2")
    *_, told = update_clone(notebooks)
    assert "make lab" in told


def refused(notebooks, match):
    """Refuses, and every notebook and commit stays."""
    before, commit = snapshot(notebooks), git(notebooks, "rev-parse", "HEAD")
    with pytest.raises(UpdateError, match=match) as caught:
        list(update_clone(notebooks))
    assert isinstance(caught.value, DetlabError)
    assert snapshot(notebooks) == before
    assert git(notebooks, "rev-parse", "HEAD") == commit
    assert clone.handed_on == []


def test_other_changed_files_stop_it(notebooks):
    (notebooks / LESSON).write_text("my work")
    (notebooks.parent / "other.toml").write_text("mine")
    refused(notebooks, r"more than notebooks: other.toml; nothing was touched.*git stash")
    assert not list(notebooks.glob("kept*"))


def test_what_git_refuses_is_put_back(notebooks, origin):
    (notebooks / LESSON).write_text("my work")
    release(origin, "x = 3", another="theirs")
    (notebooks.parent / "another.toml").write_text("mine, and in the way")
    refused(notebooks, r"(?s)git merge: .*another.toml.*Your notebooks are as they were")


def test_a_stop_puts_everything_back(notebooks, monkeypatch):
    (notebooks / LESSON).write_text("my work")

    def stopped(place, *words, advice="", real=clone.git):
        if words[0] == "merge":
            raise KeyboardInterrupt
        return real(place, *words, advice=advice)

    monkeypatch.setattr(clone, "git", stopped)
    with pytest.raises(KeyboardInterrupt):
        list(update_clone(notebooks))
    assert (notebooks / LESSON).read_text() == "my work"


def test_commits_of_the_learners_own(notebooks):
    (notebooks / LESSON).write_text("my work")
    git(notebooks, "commit", "-qam", "mine")
    refused(notebooks, r"has 1 commits of its own.*detlab update .*notebooks")


def test_no_network(notebooks, origin):
    origin.rename(origin.with_name("away"))
    refused(notebooks, r"(?s)git fetch: .*Is there a network")


def test_no_branch(notebooks):
    git(notebooks, "checkout", "-q", "--detach")
    refused(notebooks, r"(?s)git rev-list: .*git switch main")


def test_no_git(notebooks, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UpdateError, match=r"git is not installed.*detlab update FOLDER"):
        list(update_clone(notebooks))


def test_git_that_does_not_end(notebooks, monkeypatch):
    monkeypatch.setattr(clone, "SECONDS", 0)
    with pytest.raises(UpdateError, match=r"took over 0 seconds"):
        list(update_clone(notebooks))


@pytest.mark.parametrize("inside", [True, False])
def test_no_clone(notebooks, tmp_path, inside):
    place = (notebooks if inside else tmp_path) / "venv" / "notebooks"
    place.mkdir(parents=True)
    with pytest.raises(UpdateError, match=r"is no clone of detlab. Install the new version"):
        list(update_clone(place))


@pytest.mark.parametrize("fails", [True, False])
def test_the_new_version_does_its_part_in_a_python_of_its_own(tmp_path, fails):
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    (tmp_path / "detlab").mkdir()
    (tmp_path / "detlab" / "__init__.py").touch()
    (tmp_path / "detlab" / "__main__.py").write_text(
        f"import sys; open('told', 'w').write(' '.join(sys.argv[1:])); sys.exit({int(fails)})"
    )
    if fails:
        with pytest.raises(UpdateError, match=r"make lab.*then: detlab update"):
            clone.carry_with_new_code(notebooks, notebooks)
    else:
        clone.carry_with_new_code(notebooks, notebooks)
    assert (tmp_path / "told").read_text() == f"update {notebooks}"


def test_from_version_to_version_by_the_command_line(origin, tmp_path):
    """The whole way: this very package in a clone, whose lesson 02 changes."""
    lesson = origin / "notebooks" / "src" / "02_where_is_it.py"
    lesson.parent.mkdir()
    shutil.copytree(NOTEBOOKS.parent / "detlab", origin / "detlab")
    stub = "def my_box_area(boxes):\n    ...\n\n\nexercises.box_area.check(my_box_area)"
    lesson.write_text(f"# %%\n{stub}\n")
    release(origin, stub)
    mine = tmp_path / "mine"
    subprocess.run(["git", "clone", "-q", str(origin), str(mine)], check=True, timeout=60)
    lesson.write_text(f"# %%\nfrom detlab import reef\n\n# %%\n{stub}\n")
    release(origin, "from detlab import reef", stub)

    place = mine / "notebooks" / LESSON
    notebook = nbformat.read(place, 4)
    answer = stub.replace("...", "return boxes.sum(dim=1)")
    notebook.cells[0].source = answer
    notebook.cells.append(new_cell("markdown", "my note"))
    nbformat.write(notebook, place)
    command = [sys.executable, "-m", "detlab", "update"]
    done = subprocess.run(command, cwd=mine, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert f"{LESSON}: 2 cells of your own" in done.stdout
    assert "0 exercises" in done.stdout
    found = [cell.source for cell in nbformat.read(place, 4).cells]
    assert found == ["from detlab import reef", stub, answer, "my note"]
    (kept,) = (mine / "notebooks").glob("kept-*")
    assert nbformat.read(kept / LESSON, 4) == notebook
    done = subprocess.run(command, cwd=mine, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "this is the newest version: nothing to do\n")
    done = subprocess.run(
        [*command, "nowhere"], cwd=mine, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("detlab: nowhere: no notebook there")
