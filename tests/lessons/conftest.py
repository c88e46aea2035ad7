"""The browser and the JupyterLab of the widgets' tests."""

from tests.widgets.conftest import browser, page  # noqa: F401
