"""A wheel is built, installed where no clone is, and used as a stranger would use it."""

import os
import subprocess
import sys
import venv
from functools import partial
from pathlib import Path

import nbformat
import pytest

from detlab.course.lessons import COURSE, ROOT
from detlab.course.restore import texts

pytestmark = pytest.mark.slow


def run(*words, seconds=120):
    """Run a program to its end; what it printed."""
    words = [str(word) for word in words]
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Where a Python lies that has detlab from its wheel, and all else from this one."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    build = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    run(*pip, *build, seconds=300)
    [wheel] = folder.glob("detlab-*.whl")
    venv.create(folder / "venv")
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(*pip, "--python", python, "install", "--no-deps", "--no-index", wheel, seconds=300)
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(run(python, "-c", where).strip())
    others = [path for path in sys.path if path.endswith("-packages")]
    (packages / "others.pth").write_text("\n".join(others))
    return python.parent


@pytest.fixture(autouse=True)
def _no_clone(monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)


@pytest.fixture
def detlab(programs, tmp_path, monkeypatch):
    """Type a command in an empty folder, which is home too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return partial(run, programs / "detlab")


def test_a_detector_is_trained_evaluated_and_used(detlab, tmp_path):
    said = detlab("train", "--seconds", "5", "--data", "reef", seconds=600)
    assert "AP50 " in said
    trained = tmp_path / "runs" / "reef-course" / "checkpoint.safetensors"
    assert "AP50 " in detlab("evaluate", trained, "reef", seconds=300)
    picture = ROOT / "data" / "reef_val" / "images" / "000001.png"
    assert "1 with boxes" in detlab("detect", trained, picture)
    assert (tmp_path / "detections" / "000001.png").exists()


def test_a_learner_works_on_copies_of_the_lessons(detlab, tmp_path):
    assert detlab("lab", "--version").strip()
    mine = tmp_path / "detlab-course" / "02_where_is_it.ipynb"
    assert {lesson.notebook.name for lesson in COURSE} <= set(os.listdir(mine.parent))
    shipped = mine.read_text(encoding="utf-8")
    assert texts(nbformat.reads(shipped, 4)) == texts(
        nbformat.read(ROOT / "notebooks" / mine.name, 4)
    )

    mine.write_text("my work", encoding="utf-8")
    detlab("lab", "--version")
    assert mine.read_text(encoding="utf-8") == "my work"

    said = detlab("reset", "02")
    assert mine.read_text(encoding="utf-8") == shipped
    [kept] = mine.parent.glob("02_where_is_it.kept-*.ipynb")
    assert kept.read_text(encoding="utf-8") == "my work"
    assert kept.name in said


def test_the_checkpoint_of_the_lessons_is_inside(programs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = (
        "from detlab.course import notebook; print(notebook.shipped_detector()[1].class_names[0])"
    )
    assert run(programs / "python", "-c", code) == "background\n"


def test_a_typed_user_gets_types(programs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "from detlab.boxes import box_iou\nreveal_type(box_iou)\nbox_iou(1, 2)\n"
    Path("user.py").write_text(code)
    mypy = (sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull)
    words = [*mypy, "--python-executable", programs / "python", "user.py"]
    said = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=600).stdout
    assert "Tensor" in said.splitlines()[0]
    assert said.count("has incompatible type") == 2
    assert "missing" not in said
