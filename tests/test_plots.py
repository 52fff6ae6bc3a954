"""How tables and figures come onto a page."""

import io
import re
from unittest.mock import Mock

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.collections import PathCollection
from PIL import Image

from ssgan_core import intervals, losses
from ssgan_core.digits.training import DigitsSettings
from ssgan_core.paths import project_root
from ssgan_core.plots import (
    accuracy_by_labels,
    accuracy_dots,
    animation,
    dot_panels,
    interval,
    name_ends,
    one_line,
    say,
    show_source,
    tile,
    use_style,
)


def test_the_meaning_of_a_parameter_is_shown_to_its_end() -> None:
    with pd.option_context("display.max_colwidth", 50):
        use_style()
        page = DigitsSettings.resolve().table()._repr_html_()
    meanings = [field.description for field in DigitsSettings.model_fields.values()]
    assert max(map(len, meanings)) > 50
    assert all(f"<td>{meaning}</td>" in page for meaning in meanings)


def test_names_at_the_ends_of_lines_lie_beside_them_and_not_over_each_other():
    figure, axes = plt.subplots()
    for name, end in {"one": 0.5, "two": 0.501, "three": 0.499, "far": 0.9}.items():
        axes.plot([0, 1], [0, end], label=name)
    name_ends(axes, axes.get_lines())
    names = {text.get_text(): text.get_window_extent() for text in axes.texts}
    for lower, upper in (("three", "one"), ("one", "two"), ("two", "far")):
        assert names[lower].y1 <= names[upper].y0
    end = axes.transData.transform((1, 0.9))
    assert names["far"].y0 < end[1] < names["far"].y1 and names["far"].x0 > end[0]
    assert axes.texts[0].get_color() == axes.get_lines()[2].get_color()
    plt.close(figure)


def test_no_interval_is_drawn_past_zero_or_one():
    mean, low, high = interval([0.8, 1.0, 1.0])
    assert mean == pytest.approx(2.8 / 3) and low < 0.8 and high == 1
    assert interval([0.0, 0.1])[1] == 0
    assert interval([0.7])[0] == 0.7 and np.isnan(interval([0.7])[1:]).all()


def test_a_row_of_dots_stands_beside_the_name_of_its_method():
    runs = pd.DataFrame({"method": ["z", "z", "a"], "last": [0.6, 0.8, 0.9]})
    (axes,) = accuracy_dots(runs, line=0.5).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["z", "a"]
    first, second = (
        np.array(drawn.get_offsets())
        for drawn in axes.collections
        if isinstance(drawn, PathCollection)
    )
    assert first[:, 0].tolist() == [0.6, 0.8] and first[:, 1].round().tolist() == [0, 0]
    assert second[:, 0].tolist() == [0.9] and second[:, 1].round().tolist() == [1]
    plt.close("all")


def test_panels_share_their_rows_and_a_method_without_a_run_keeps_its_own():
    frames = {
        "left": (pd.DataFrame({"method": ["a", "b", "c"], "last": [0.6, 0.7, 0.8]}), "last"),
        "right": (pd.DataFrame({"method": ["c", "d", "a"], "last": [0.8, 0.9, 0.6]}), "last"),
    }
    panels = dot_panels(frames).axes
    names = [label.get_text() for label in panels[0].get_yticklabels()]
    assert names == ["a", "b", "c", "d"]
    for axes, (runs, _) in zip(panels, frames.values(), strict=True):
        drawn = {
            names[round(y)]: x
            for points in axes.collections
            if isinstance(points, PathCollection)
            for x, y in np.array(points.get_offsets())
        }
        assert drawn == dict(zip(runs.method, runs["last"], strict=True))
    plt.close("all")


def test_images_lie_row_by_row_and_none_are_an_empty_picture():
    images = torch.arange(3, dtype=torch.uint8)[:, None, None, None].expand(3, 3, 4, 4)
    picture = tile(images, columns=2)
    assert picture.shape == (10, 10, 3)
    assert (picture[0, 0] == 0).all() and (picture[0, 6] == 1).all() and (picture[6, 0] == 2).all()
    assert (picture[4:6] == 255).all() and (picture[6:, 6:] == 255).all()
    assert (tile(images[:0], columns=1) == 255).all()


def test_an_animation_keeps_the_order_and_the_rare_colors_of_its_frames():
    frames = [np.full((24, 24, 3), level, dtype=np.uint8) for level in (250, 150, 50)]
    frames[1][3, 3] = (214, 47, 75)  # a generated point
    picture = Image.open(io.BytesIO(animation(frames, "x", 100).data))
    assert picture.n_frames == 3
    picture.seek(1)
    assert np.abs(np.asarray(picture.convert("RGB"))[3, 3] - np.array([214, 47, 75])).max() < 30


def test_accuracy_by_labels_is_a_line_of_means_with_bars_where_runs_are_many():
    runs = [("alone", 100, 0.6), ("alone", 100, 0.7), ("alone", 2000, 0.8), ("all", 100, 0.75)]
    (axes,) = accuracy_by_labels(pd.DataFrame(runs, columns=["method", "labels", "last"])).axes
    alone, every = axes.containers
    assert alone.lines[0].get_ydata() == pytest.approx([0.65, 0.8])
    half = np.ptp(alone.lines[2][0].get_segments()[0][:, 1]) / 2
    assert half == pytest.approx(np.std([0.6, 0.7], ddof=1))
    assert not every.lines[2][0].get_segments()[0].size
    assert [label.get_text() for label in axes.get_xticklabels()] == ["100", "2,000"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["alone", "all"]


def test_shown_source_says_which_file_it_is_from():
    shown = show_source(losses.log_z, losses.real_loss, intervals.mean_ci).data
    files = re.findall("^`([^`]+)`$", shown, re.MULTILINE)
    assert files == ["ssgan_core/losses.py", "ssgan_core/intervals.py"]
    for block, file in zip(re.findall("```python\n(.*?)```", shown, re.DOTALL), files, strict=True):
        assert all(part in (project_root() / file).read_text() for part in block.split("\n\n\n"))


def test_what_sentences_say_is_a_table_in_the_notebook(monkeypatch):
    outputs = []
    monkeypatch.setattr("ssgan_core.plots.display", outputs.append)
    say("x", {"epochs": 14, "best": "83.2 %"})
    (table,) = outputs
    assert table.iloc[:, 0].to_dict() == {"epochs": "14", "best": "83.2 %"}


def test_a_training_leaves_one_line_and_warnings_stay(monkeypatch, capsys):
    line = Mock()
    display = Mock(return_value=line)
    monkeypatch.setattr("ssgan_core.plots.display", display)
    report = one_line()
    for step in (1, 2, 3):
        report(f"ssgan: step {step}/3, 1 s")
    report("ssgan: the generator has collapsed")
    display.assert_called_once()
    assert line.update.call_args.args == ({"text/plain": "ssgan: step 3/3, 1 s"},)
    assert capsys.readouterr().out == "ssgan: the generator has collapsed\n"
