"""The figures of what was measured."""

import matplotlib.pyplot as plt
import pandas as pd

from ssgan_core.bench.figures import rate_bars


def test_the_names_of_two_limits_stand_apart_whichever_is_lower():
    rates = pd.DataFrame({"size": [64, 224], "loader": "cache", "images a second": [900, 80]})
    limits = {"decode": {64: 700, 224: 700}, "copy": {64: 5000, 224: 300}}
    sides = [
        {text.get_text().strip(): text.get_ha() for text in axes.texts if text.get_va() != "center"}
        for axes in rate_bars(rates, limits).axes
    ]
    assert [{name: side[name] for name in limits} for side in sides] == [
        {"decode": "right", "copy": "left"},
        {"decode": "left", "copy": "right"},
    ]
    plt.close("all")
