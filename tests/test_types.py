"""What travels between the parts."""

import torch

from detlab.types import Predictions


def test_predictions_are_sigmoid_with_plain_deltas_unless_they_say_otherwise():
    predictions = Predictions(torch.zeros(1, 2, 3), torch.zeros(1, 2, 4), torch.zeros(2, 4))
    assert predictions.activation == "sigmoid"
    assert predictions.delta_weights == (1.0, 1.0, 1.0, 1.0)
