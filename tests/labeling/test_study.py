"""Comparisons of choices: differences from random sets, and what they are worth in labels."""

import numpy as np
import pandas as pd
import pytest

from ssgan_core.intervals import gap, spread_ratio
from ssgan_core.labeling.study import against_random, worth_in_labels

RANDOM, TYPICAL = [0.6, 0.7, 0.8], [0.72, 0.74, 0.76]


def frame(**methods):
    return pd.concat(
        pd.DataFrame({"labels": 100, "method": name, "last": values})
        for name, values in methods.items()
    )


def test_mean_and_spread_stand_against_those_of_random_sets():
    table = against_random(frame(random=RANDOM, typical=TYPICAL, herding=[0.75]))
    told = table.loc[(100, "typical")]
    expected = gap(frame(typical=TYPICAL), frame(random=RANDOM))
    assert told["mean against random"] == str(expected) and told["sets"] == 3
    assert told["spread against random"].startswith(f"{spread_ratio(TYPICAL, RANDOM)[0]:.2f} (")
    assert told["standard deviation"] == "2.0"
    compared = ["mean against random", "spread against random"]
    assert set(table.loc[(100, "random"), compared]) == {"–"}
    assert table.loc[(100, "herding"), "spread against random"] == "–"
    assert table.loc[(100, "herding"), "mean against random"] == "+5.0 points"


def test_without_random_sets_nothing_is_compared():
    assert list(against_random(frame(typical=TYPICAL))) == [
        "test accuracy", "standard deviation", "sets"
    ]  # fmt: skip


def test_an_accuracy_is_worth_the_random_labels_that_give_it():
    runs = pd.DataFrame({"method": "random", "labels": [50, 100, 200], "last": [0.6, 0.7, 0.75]})
    assert worth_in_labels(runs, 0.7) == pytest.approx(100)
    assert worth_in_labels(runs, 0.725) == pytest.approx(100 * np.sqrt(2))
    assert worth_in_labels(runs, 0.76) == np.inf
    assert worth_in_labels(runs, 0.59) == 0


def test_sets_of_several_sizes_are_told_in_random_labels():
    runs = pd.concat(
        frame(**sets).assign(labels=labels)
        for labels, sets in {
            100: {"random": [0.7, 0.7], "typical": [0.75, 0.75]},
            200: {"random": [0.75, 0.75], "typical": [0.8, 0.8], "herding": [0.75]},
            50: {"random": [0.65, 0.65], "typical": [0.69, 0.68]},
        }.items()
    )
    worth = against_random(runs)["worth random labels"]
    assert worth.loc[100].tolist() == ["100 (100 to 100)", "200 (200 to 200)"]
    assert worth.loc[200].tolist() == ["200 (200 to 200)", "> 200 (> 200 to > 200)", "200"]
    assert worth.loc[50, "typical"] == "81 (< 50 to 196)"  # 0.685 ± 0.0635: 97 % of a doubling
    assert "worth random labels" not in against_random(runs[runs.labels == 100])
