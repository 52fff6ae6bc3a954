"""What a trained network goes by: statistics that are put back, calibration, occlusion maps."""

from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from photo_tables import dark_and_bright
from torch import nn

from ssgan_core.ssgan import analysis
from ssgan_core.ssgan.analysis import (
    by_weights_and_statistics,
    calibration_error,
    compare_statistics,
    honest_calibration_error,
    looks,
    occlusion_maps,
    reliability,
    running_shares,
    spread_labels,
    statistics_of,
    where_generated_lie,
)
from ssgan_core.ssgan.evaluate import real_batches
from ssgan_core.ssgan.figures import confident_mistakes
from ssgan_core.ssgan.fit import fit
from ssgan_core.ssgan.recipes import find_recipe
from ssgan_core.ssgan.study import calibration_table, fit_runs, summary


@pytest.fixture(scope="module")
def data():
    return dark_and_bright()


@pytest.fixture(scope="module")
def article(data):
    return fit(find_recipe("article"), data, 6, width=8, generator_width=32, evaluations=2)


def state(learner):
    parts = (learner.classifier, learner.generator)
    return [value.clone() for part in parts for value in part.state_dict().values()]


def unchanged(learner, before):
    return all(torch.equal(a, b) for a, b in zip(state(learner), before, strict=True))


@pytest.mark.parametrize(
    ("order", "share"),
    [
        (("labeled", "real", "generated", "generated"), 0.19 / 0.3439),
        (("real", "generated", "labeled", "generated"), 0.181 / 0.3439),  # the article's
    ],
)
def test_the_recurrence_of_running_statistics_is_batch_norms_own(order, share):
    norm, value = nn.BatchNorm1d(1), {"labeled": 0.0, "real": 0.0, "generated": 1.0}
    for _ in range(60):
        for kind in order:
            norm(torch.full((2, 1), value[kind]))
    shares = running_shares(order)
    assert norm.running_mean.item() == pytest.approx(shares["generated"], rel=1e-4)
    assert shares["generated"] == pytest.approx(share)
    assert sum(shares.values()) == pytest.approx(1)


def test_statistics_are_those_of_the_images_given_and_then_as_before(article, data):
    learner = article.learner
    model, before = learner.classifier, state(learner)
    rows = torch.as_tensor(data.rows("unlabeled"))
    with torch.no_grad():
        maps = model.conv1(learner.images(data.images[rows]))
    with statistics_of(model, real_batches(learner, data)):
        expected = maps.mean((0, 2, 3))
        torch.testing.assert_close(model.bn1.running_mean, expected, atol=1e-4, rtol=1e-3)
    assert unchanged(learner, before)


def test_comparing_statistics_judges_by_each_and_changes_nothing(article, data):
    before = state(article.learner)
    table = compare_statistics(article.learner, data)
    assert unchanged(article.learner, before)
    assert list(table.index) == ["running", "real", "labeled", "generated"]
    assert table.loc["running", "accuracy"] == article.test["last_raw"]
    share = table["generated share"]
    assert share["real"] == 0 and share["generated"] == pytest.approx(1)
    assert 0.3 < share["running"] < 0.8 and abs(share["labeled"]) < 0.2
    assert table["D"].between(0, 1).all() and table["D"].nunique() == 4
    assert table.equals(compare_statistics(article.learner, data))


class Judge(nn.Module):
    """Sees the mean of an image alone: two logits at one height, which differ by how bright it is.

    Dark and bright images, 0.29 and 0.69 on the average, have 0.69 for their class.
    """

    def __init__(self, height):
        super().__init__()
        self.height = height

    def forward(self, images):
        mean = images.mean((1, 2, 3))[:, None]
        return self.height + (mean - 0.49) * torch.tensor([-2.0, 2.0]), mean


def test_a_sure_d_says_nothing_of_the_class_and_generated_images_lie_off_the_data(
    article, data, monkeypatch
):
    """D goes by the height of the logits, the class by their difference."""
    gray, white = (torch.full((250, 3, 32, 32), value) for value in (0.49, 9.0))
    monkeypatch.setattr(analysis, "generated_batches", lambda learner: [gray] * 4)
    high = looks(article.learner, Judge(9.0), data)
    assert high.columns.tolist() == ["running", "real"] and high["running"].equals(high["real"])
    found, tested = high["real"], len(data.rows("test"))
    assert found["D above 0.9"] == tested
    assert found["unsure of the class, of these"] == found["of all"] == 1
    assert found["entropy of their class"] == pytest.approx(np.log(2))
    assert found["of a test image's"] == pytest.approx(0.62, abs=0.01)
    low = looks(article.learner, Judge(-9.0), data)["real"]
    assert low["D above 0.9"] == 0 and np.isnan(low["unsure of the class, of these"])
    assert low["of the tenth with the highest D"] == 1

    assert found["generated off the data"] == 1, "gray lies between the dark and the bright"
    monkeypatch.setattr(analysis, "generated_batches", lambda learner: [white] * 4)
    lie = where_generated_lie(article.learner, Judge(0.0), data)
    assert lie.loc["generated", "off the data"] == 1 and lie.loc["generated", "class entropy"] < 0.1
    assert lie.loc["test images", "off the data"] == pytest.approx(0.05, abs=0.03)
    real = list(real_batches(article.learner, data))
    monkeypatch.setattr(analysis, "generated_batches", lambda learner: real)
    assert where_generated_lie(article.learner, Judge(0.0), data).loc["generated"].iloc[0] == 0


def test_looks_are_by_the_statistics_named_and_change_nothing(article, data):
    before = state(article.learner)
    found = looks(article.learner, article.model, data)
    assert unchanged(article.learner, before)
    lie = where_generated_lie(article.learner, article.model, data)
    names = ["generated off the data", "entropy of their class"]
    assert found.loc[names, "running"].tolist() == lie.loc["generated"].tolist()
    assert not found["running"].equals(found["real"])


def test_calibration_error_of_a_classifier_that_is_half_right_at_three_quarters():
    probabilities = np.tile([[0.25, 0.75]], (200, 1))
    labels = np.arange(200) % 2
    bins = reliability(probabilities, labels)
    assert bins.to_numpy().tolist() == [[0.75, 0.5, 1.0]]
    assert calibration_error(probabilities, labels) == pytest.approx(0.25)


def test_true_probabilities_show_the_honest_error_and_bold_ones_more():
    rng = np.random.default_rng(0)
    p = rng.uniform(0, 1, 4000)
    probabilities, labels = np.stack([1 - p, p], 1), (rng.random(4000) < p).astype(int)
    honest = honest_calibration_error(probabilities)
    assert 0 < honest < 0.03
    assert calibration_error(probabilities, labels) == pytest.approx(honest, abs=0.01)
    bold = np.stack([1 - p.round(), p.round()], 1)
    assert calibration_error(bold, labels) > 0.2
    assert honest_calibration_error(bold) == 0
    assert reliability(probabilities, labels)["share"].sum() == pytest.approx(1)


class Corner(nn.Module):
    """Log odds of class 1: ten times the mean of the upper left quarter."""

    def forward(self, images):
        odds = 10 * images[:, :, :16, :16].mean((1, 2, 3))
        return torch.stack([torch.zeros_like(odds), odds], 1), images


def test_occlusion_finds_the_only_place_that_a_network_looks_at(article):
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    images[:, :, :16, :16] = 255
    maps = occlusion_maps(article.learner, Corner(), images, np.array([1, 0]))
    assert maps.shape == (2, 32, 32) and not maps.requires_grad
    assert maps[0, :16, :16].min() > 0
    assert maps[0, 23:].abs().max() == maps[0, :, 23:].abs().max() == 0
    torch.testing.assert_close(maps[0], -maps[1])
    # A square of 8 px wholly inside covers a quarter of the corner: 1 becomes the mean, 1/4.
    assert maps[0, 0, 0].item() == pytest.approx(10 * 0.25 * 0.75, rel=0.01)


def test_the_most_confident_mistakes_come_first():
    images = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
    probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    figure = confident_mistakes(images, probabilities, np.array([1, 1, 1, 1]), ("cat", "dog"))
    texts = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert texts == [["✗ cat 90%", "✗ cat 60%"], ["✓ dog 80%", "✓ dog 70%"]]
    faultless = confident_mistakes(images, probabilities, np.array([0, 0, 1, 1]), ("cat", "dog"))
    assert [len(axes.texts) for axes in faultless.axes] == [0, 4]
    plt.close("all")


def test_the_summary_has_a_value_a_draw_under_the_names_that_the_bands_use(article):
    values = summary(fit_runs({"article": [article, article]}))["article"]
    assert values["last"] == [article.test["last"]] * 2
    assert set(values) == {"last", "best", "last_raw", "steps", "validation", "correct"}
    assert values["steps"] == [article.history["step"].iloc[-1]] * 2
    assert values["validation"][1] == article.history["validation"].tolist()


def test_weights_and_statistics_are_told_apart_and_left_alone(data):
    done = fit(find_recipe("ssgan-minus-gan"), data, 6, width=8, evaluations=1)
    before = [value.clone() for value in done.learner.classifier.state_dict().values()]
    found = by_weights_and_statistics(done.learner, data)
    assert set(found) == {"ema_clean", "ema_weak", "raw_clean", "raw_weak"}
    assert found["ema_clean"] == done.test["last"]
    after = done.learner.classifier.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_labels_spread_to_the_images_that_lie_near(article, data, monkeypatch):
    """The features are the brightness, so neighbors are of one class; unlabeled classes, as good
    as unknown, change nothing."""

    def brightness(learner, model, data, rows):
        mean = data.images[torch.as_tensor(rows)].float().mean((1, 2, 3))[:, None]
        return None, mean

    monkeypatch.setattr(analysis, "all_outputs", brightness)
    right = spread_labels(article.learner, article.model, data)
    table = data.table.copy()
    table.loc[table.split == "unlabeled", "label"] = -1
    unknown = replace(data, table=table)
    assert right == spread_labels(article.learner, article.model, unknown) > 0.98
    table.loc[table.split == "labeled", "label"] = 1 - table.label[table.split == "labeled"]
    assert spread_labels(article.learner, article.model, replace(data, table=table)) < 0.02


def test_a_table_of_calibration_has_a_row_a_recipe():
    half, sure = (np.tile([row], (200, 1)) for row in ([0.25, 0.75], [0.0, 1.0]))
    fits = {
        "half": [SimpleNamespace(probabilities=half)] * 2,
        "sure": [SimpleNamespace(probabilities=sure)],
    }
    table = calibration_table(fits, np.arange(200) % 2)
    assert table.loc["half", ["accuracy", "mean confidence", "calibration error"]].tolist() == [
        "50.0 ± 0.0 %",
        "75.0 ± 0.0 %",
        "25.0 ± 0.0 %",
    ]
    assert table.loc["sure", ["calibration error", "by chance alone"]].tolist() == [
        "50.0 %",
        "0.0 %",
    ]
