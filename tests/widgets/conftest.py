"""A page with the module alone, and one JupyterLab for all tests of this folder."""

from collections.abc import Callable, Iterator

import pytest
import torch
from playwright.sync_api import Browser, Page

from .alone import Alone
from .jupyter import Lab, open_jupyter


@pytest.fixture(scope="session")
def jupyter(browser: Browser) -> Iterator[Lab]:
    with open_jupyter() as lab:
        yield lab


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
