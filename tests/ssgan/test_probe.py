"""Linear probes read the features, and only classes that are known."""

from dataclasses import replace

import pytest
import torch
from photo_tables import dark_and_bright

from ssgan_core.device import Hardware
from ssgan_core.ssgan.analysis import linear_probe
from ssgan_core.ssgan.recipes import find_recipe
from ssgan_core.ssgan.step import make_learner


@pytest.fixture(scope="module")
def learner():
    torch.manual_seed(0)
    return make_learner(
        find_recipe("supervised"), 32, 8, 32, 2, Hardware(torch.device("cpu"), False)
    )


def told(data, change):
    """The same photos with other classes for the unlabeled ones."""
    table = data.table.copy()
    unlabeled = table["split"] == "unlabeled"
    table.loc[unlabeled, "label"] = change(table.loc[unlabeled, "label"])
    return replace(data, table=table)


def test_a_probe_learns_the_known_classes_and_no_others(learner):
    data = dark_and_bright()
    before = [value.clone() for value in learner.classifier.state_dict().values()]
    right = linear_probe(learner, learner.classifier, data)
    wrong = linear_probe(learner, learner.classifier, told(data, lambda labels: 1 - labels))
    unknown = linear_probe(learner, learner.classifier, told(data, lambda labels: 0 * labels - 1))
    assert right > 0.85 and wrong < 0.2 and unknown > 0.85
    after = learner.classifier.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_probe_sees_as_many_photos_as_it_is_given(learner):
    """A single photo too many, of the wrong class, changes nothing; many do."""
    data = told(dark_and_bright(), lambda labels: 1 - labels)
    accuracies = [linear_probe(learner, learner.classifier, data, count) for count in (0, 1, 130)]
    assert accuracies[0] > 0.85 and accuracies[1] > 0.85 and accuracies[2] < 0.2
