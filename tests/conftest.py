"""What all tests share: the devices of this machine, a seed, hypothesis without a database."""

import os
import signal
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import configuration, settings
from jaxtyping import config

from detlab.course import progress

# Nothing of hypothesis stays behind: no examples, no constants that it reads from the source.
configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "detlab-hypothesis")
settings.register_profile("detlab", deadline=None, max_examples=50, database=None)
settings.load_profile("detlab")
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1,localhost"  # servers of these tests
if hasattr(signal, "SIGHUP"):  # started by nohup, what tests start would be deaf to it, too
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
torch.set_num_threads(1)  # the tensors are small: threads would only wait for each other …
os.environ["OMP_NUM_THREADS"] = "1"  # … and so in what tests start: kernels, commands


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def progress_path(monkeypatch, tmp_path):
    """Where a learner's progress goes in a test: never into the user's own file."""
    path = tmp_path / "progress" / "progress.json"
    monkeypatch.setenv("DETLAB_PROGRESS", str(path))
    monkeypatch.setattr(progress, "UNSAVED", {kind: {} for kind in progress.KINDS})
    return path


@pytest.fixture
def few_files():
    """No more than a hundred open files beyond those that are open already."""
    resource = pytest.importorskip("resource")
    now = resource.getrlimit(resource.RLIMIT_NOFILE)
    with tempfile.TemporaryFile() as newest:
        resource.setrlimit(resource.RLIMIT_NOFILE, (newest.fileno() + 100, now[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, now)


@pytest.fixture(params=["cpu", "cuda"])
def device(request):
    """The CPU, and a GPU where there is one."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device in this machine")
    return torch.device(request.param)


@pytest.fixture
def no_shape_checks():
    """Types as in use, where nothing checks them before the function's own words."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def browser():
    """One for all tests: a process can drive one at a time."""
    from tests.widgets.jupyter import open_browser

    with open_browser() as browser:
        yield browser


@pytest.fixture
def page(browser):
    """A page that fails its test when anything is logged as an error."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    yield page
    context.close()
    assert not errors, errors
