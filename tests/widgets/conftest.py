"""The browser, a page with the module alone, and one JupyterLab for all tests of this folder."""

from collections.abc import Callable, Iterator

import pytest
import torch
from playwright.sync_api import Browser, Page

from .alone import Alone
from .jupyter import Lab, open_browser, open_jupyter


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def jupyter(browser: Browser) -> Iterator[Lab]:
    with open_jupyter() as lab:
        yield lab


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails its test when anything is logged as an error."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    yield page
    context.close()
    assert not errors, errors


@pytest.fixture
def alone(page: Page) -> Callable[..., Alone]:
    return lambda widget: Alone(page, widget)


@pytest.fixture(scope="session")
def picture() -> torch.Tensor:
    """A wide picture whose left and right, top and bottom differ."""
    image = torch.zeros(3, 150, 200, dtype=torch.uint8)
    image[1] = torch.linspace(40, 150, 200).byte()
    image[2] = torch.linspace(60, 200, 150)[:, None].byte()
    return image
