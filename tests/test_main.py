"""The program begins, on a whole machine and on a half-installed one."""

import os
import subprocess
import sys

import pytest

from detlab import __main__
from detlab.cli import commands as cli


def type_command(*words, **environment):
    """Start a program of its own, as a user does."""
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=120,
    )


def test_python_dash_m_runs_the_command_line():
    done = type_command("-m", "detlab", "detect", "nothing.safetensors", "nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "detlab: nothing.safetensors: no such file; `detlab train --out DIR` writes one\n"
    )


@pytest.mark.parametrize("package", ["torch", "tyro", "packaging"])
def test_a_missing_package_is_named_with_the_command_that_brings_it(package):
    script = (
        "import importlib.metadata, sys\n"
        f"sys.modules[{package!r}] = None\n"
        "real = importlib.metadata.version\n"
        "def version(name):\n"
        f"    if name == {package!r}:\n"
        "        raise importlib.metadata.PackageNotFoundError(name)\n"
        "    return real(name)\n"
        "importlib.metadata.version = version\n"
        "wanted = ['torch>=2.5', 'tyro>=0.9', 'packaging>=23']\n"
        "importlib.metadata.requires = lambda _: wanted\n"
        "sys.modules.setdefault('tyro', None)\n"
        "from detlab.__main__ import main; main()\n"
    )
    done = type_command("-c", script)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    [line] = [line for line in done.stderr.splitlines() if line.startswith("FIX")]
    assert f"{package} " in line
    assert f'{sys.executable} -m pip install "{package}>=' in line


@pytest.mark.parametrize(
    ("words", "package"),
    [("lab", "jupyterlab"), ("lab", "IPython"), ("reset 02", "jupytext"), ("reset 02", "nbformat")],
)
def test_a_command_of_the_course_says_in_one_line_what_installs_it(words, package):
    script = (
        f"import sys; sys.modules[{package!r}] = None; "
        "from detlab.cli import commands; commands.main()"
    )
    done = type_command("-c", script, *words.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"detlab: {package} is not installed, which lessons and labs need: "
        f'{sys.executable} -m pip install "detlab[course]"\n'
    )


def test_a_lesson_says_what_installs_the_course():
    done = type_command(
        "-c", "import sys; sys.modules['IPython'] = None; import detlab.course.notebook"
    )
    assert done.stderr.splitlines()[-1].endswith('-m pip install "detlab[course]"')


def fail_to_import(monkeypatch, error):
    """Importing the command line raises an error."""

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "detlab.cli.commands":
                raise error

    monkeypatch.delitem(sys.modules, "detlab.cli.commands")
    monkeypatch.delattr("detlab.cli.commands")
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])


def test_a_missing_module_of_our_own_is_a_fault_of_the_program(monkeypatch):
    fail_to_import(monkeypatch, ModuleNotFoundError("no detlab.x", name="detlab.x"))
    with pytest.raises(ModuleNotFoundError, match=r"detlab\.x"):
        __main__.main()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("operator torchvision::nms does not exist"),
        ImportError("libcudart.so: no such file", name="torch"),
        OSError("DLL load failed"),
    ],
)
def test_packages_that_do_not_fit_together_are_told(monkeypatch, capsys, error):
    fail_to_import(monkeypatch, error)
    with pytest.raises(SystemExit) as leaving:
        __main__.main()
    said = capsys.readouterr().err
    assert leaving.value.code == 2
    assert said.startswith(f"detlab: {error}\nok  Python")
    assert said.endswith("-m pip install --force-reinstall torch torchvision\n")


def test_ctrl_c_while_packages_load_is_no_traceback(monkeypatch, capsys):
    fail_to_import(monkeypatch, KeyboardInterrupt())
    with pytest.raises(SystemExit) as leaving:
        __main__.main()
    assert leaving.value.code == 130
    assert capsys.readouterr().err == "detlab: stopped\n"


def test_the_program_is_the_command_line(monkeypatch):
    called = []
    monkeypatch.setattr(cli, "main", lambda: called.append(True))
    __main__.main()
    assert called == [True]
