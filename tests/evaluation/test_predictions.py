import numpy as np

from foodjax.evaluation.predictions import Predictions


def test_confusion_counts_true_classes_by_predicted_ones():
    probabilities = np.array([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.2, 0.3, 0.5], [0.5, 0.4, 0.1]], np.float32)
    predictions = Predictions({}, probabilities, np.array([0, 1, 1, 1]), np.arange(4))
    np.testing.assert_array_equal(predictions.confusion, [[1, 0, 0], [1, 0, 2], [0, 0, 0]])
