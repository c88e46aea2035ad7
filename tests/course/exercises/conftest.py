"""Exercises meet what learners write: nothing checks shapes before they do."""

import pytest


@pytest.fixture(autouse=True)
def _as_in_a_notebook(no_shape_checks):
    pass
