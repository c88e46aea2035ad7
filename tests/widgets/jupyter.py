"""A real JupyterLab and a real browser for the tests of the labs, and for their benchmark.

The server listens on a free port of this machine only, has its own empty configuration, and ends
with the test. The browser is Debian's Chromium, driven by playwright.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from detlab.cli.commands import PROMPT

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str:
    """Where the browser is; without one tests skip, and in CI they fail."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    if os.environ.get("CI"):
        pytest.fail("no Chromium here, and CI must test the labs: apt-get install chromium")
    pytest.skip("no Chromium here: apt-get install chromium")


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    """A headless browser with an empty profile of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Lab:
    """A running JupyterLab, and the folder it shows."""

    address: str
    folder: Path

    def write(self, name: str, *cells: str) -> None:
        """A notebook of code cells."""
        notebook = nbformat.v4.new_notebook()
        notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, self.folder / name)

    def open(self, page: Page, name: str) -> None:
        """Show a notebook and wait until its kernel can take a command."""
        page.goto(f"{self.address}/lab/tree/{name}?reset")
        page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.sessionContext")
        page.evaluate(
            """async () => {
                const panel = jupyterapp.shell.currentWidget;
                await panel.context.ready;
                await panel.sessionContext.ready;
                await panel.sessionContext.session.kernel.info;
            }"""
        )

    def run_all(self, page: Page) -> None:
        """Run every cell and wait for the last."""
        page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")

    def start_all(self, page: Page) -> None:
        """Run every cell and wait for none."""
        page.evaluate("() => void jupyterapp.commands.execute('notebook:run-all-cells')")

    def ask(self, page: Page, code: str) -> str:
        """Run code in the notebook's kernel and return what it prints."""
        return page.evaluate(
            """async (code) => {
                const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const future = kernel.requestExecute({ code, store_history: false });
                let text = '';
                future.onIOPub = ({ header, content }) => {
                    if (header.msg_type === 'stream') text += content.text;
                    if (header.msg_type === 'error') text += content.traceback.join('');
                };
                await future.done;
                return text.trim();
            }""",
            code,
        )


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def open_jupyter() -> Iterator[Lab]:
    """A JupyterLab of its own: settings, data and notebooks in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        notebooks = home / "notebooks"
        notebooks.mkdir()
        overrides = home / "config" / "labconfig" / "default_setting_overrides.json"
        overrides.parent.mkdir(parents=True)
        quiet = {"fetchNews": "false", "checkForUpdates": False}
        overrides.write_text(json.dumps({"@jupyterlab/apputils-extension:notification": quiet}))
        port = free_port()
        environment = {
            **os.environ,
            "JUPYTER_CONFIG_DIR": str(home / "config"),
            "JUPYTER_DATA_DIR": str(home / "data"),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
            "IPYTHONDIR": str(home / "ipython"),
            "OMP_NUM_THREADS": "1",
        }
        command = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            *("--expose-app-in-browser", "--ip=127.0.0.1", f"--port={port}"),
            *(
                PROMPT,  # as `detlab lab` starts it
                "--ServerApp.port_retries=0",
                "--IdentityProvider.token=",
                f"--notebook-dir={notebooks}",
            ),
        ]
        with (home / "log").open("w") as log:
            server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(f"{address}/api/status", server, home / "log")
            yield Lab(address, notebooks)
        finally:
            server.terminate()
            server.wait(timeout=30)


def wait_for(
    address: str, server: "subprocess.Popen[bytes]", log: Path, seconds: float = 300
) -> None:
    """Return once the server answers."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not answer:\n{log.read_text()[-2000:]}")
