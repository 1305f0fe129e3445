"""What a multiclass model predicts on a day, with its labels and its lineage. Not here: counting them (test_classes.py)."""

from __future__ import annotations

from typing import Any

import numpy as np
from project import ROWS

CLASSES = ("bus", "car", "tram")
LINEAGE = {"task": "multiclass", "classes": list(CLASSES), "baseline": {"auc": 0.95}}
SCORES = {"prefix": "p_"}


class Predictions:
    """What a model with noisy hints at the label predicts on a day."""

    def __init__(self, number: int) -> None:
        generator = np.random.default_rng(number)
        truth = generator.integers(0, 3, ROWS)
        hints = np.exp(generator.normal(size=(ROWS, 3)) + 1.2 * np.eye(3)[truth])
        self.scores = hints / hints.sum(axis=1, keepdims=True)
        self.predicted, self.labels = np.array(CLASSES)[self.scores.argmax(axis=1)], np.array(CLASSES)[truth]

    def columns(self) -> dict[str, Any]:
        of_classes = {f"p_{name}": self.scores[:, place] for place, name in enumerate(CLASSES)}
        return {"score": self.scores.max(axis=1), "predicted_class": self.predicted} | of_classes
