"""Features learned without labels: no label is read, and a training begins where they are."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from photo_tables import dark_and_bright

from ssgan_core.checkpoint import save_checkpoint
from ssgan_core.errors import InputError
from ssgan_core.pets.collection import draw_pets
from ssgan_core.photos.features import FILE
from ssgan_core.photos.files import scan
from ssgan_core.photos.photoset import PhotoSet, decode_all
from ssgan_core.photos.splits import split_photos
from ssgan_core.pretrain import main as learn
from ssgan_core.ssgan.fit import fit
from ssgan_core.ssgan.pretrain import (
    clustered,
    few_label_probes,
    load_weights,
    pretrain,
)
from ssgan_core.ssgan.recipes import FEATURES, find_recipe
from ssgan_core.train import main as train

SIZES = {"width": 8, "generator_width": 32}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return draw_pets(tmp_path_factory.mktemp("data") / "pets", 80, 32, workers=1)


@pytest.fixture(scope="module")
def photos(folder) -> PhotoSet:
    return split_photos(decode_all(scan(folder), 32))


def relabeled(data: PhotoSet, label: int) -> PhotoSet:
    return replace(data, table=data.table.assign(label=label))


@pytest.mark.parametrize("recipe", FEATURES.values(), ids=FEATURES)
def test_no_class_and_no_held_out_image_is_read(recipe, photos):
    """Other classes, and other images in validation and test, leave every weight as it is."""
    held = torch.tensor(photos.table["split"].isin(["val", "test"]).to_numpy())
    images = photos.images.clone()
    images[held] = 255 - images[held]
    other = replace(relabeled(photos, 0), images=images)
    first, second = (pretrain(recipe, data, 2, **SIZES).model for data in (photos, other))
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    third = pretrain(recipe, photos, 2, **SIZES, seed=1).model
    assert not torch.equal(first.conv1.weight, third.conv1.weight)


def test_an_interrupted_one_ends_as_the_whole_one(photos, tmp_path):
    recipe = FEATURES["rotation-contrast-gan"]
    whole = pretrain(recipe, photos, 4, **SIZES).features

    def kill(line: str) -> None:
        if "step 2" in line:
            raise KeyError

    path = tmp_path / "checkpoint.pt"
    with pytest.raises(KeyError):
        pretrain(recipe, photos, 4, **SIZES, evaluations=2, checkpoint=path, report=kill)
    resumed = pretrain(recipe, photos, 4, **SIZES, evaluations=2, checkpoint=path)
    assert np.array_equal(whole, resumed.features)
    assert resumed.features.shape == (len(photos), 64)


def test_probes_and_clusters_tell_features_that_know_the_classes(photos):
    classes = photos.table["label"].to_numpy()
    noise = np.random.default_rng(0).normal(size=(len(photos), 4))
    telling = noise + 8 * classes[:, None]
    assert min(few_label_probes(telling, photos, 10, range(3))) == 1.0
    assert 0.2 < np.mean(few_label_probes(noise, photos, 10, range(20))) < 0.8
    assert clustered(telling, photos) == pytest.approx(1)
    assert clustered(noise, photos) < 0.2


def test_a_training_begins_at_features_all_but_its_last_layer():
    data = dark_and_bright()
    unlabeled = replace(data, table=data.table.assign(split="train"))
    weights = pretrain(FEATURES["rotation"], unlabeled, 2, **SIZES).model.state_dict()
    recipe = replace(find_recipe("ssgan-minus-gan"), learning_rate=0.0, ema=None)
    begun = fit(recipe, data, 1, **SIZES, features=weights).learner.classifier
    bare = fit(recipe, data, 1, **SIZES).learner.classifier
    assert torch.equal(begun.conv1.weight, weights["conv1.weight"])
    assert torch.equal(begun.turns.weight, weights["turns.weight"])
    assert torch.equal(begun.fc.weight, bare.fc.weight)
    assert not torch.equal(bare.conv1.weight, weights["conv1.weight"])
    with pytest.raises(InputError, match=r"conv1.weight has the shape \(8, .*, the classifier's"):
        fit(recipe, data, 1, width=16, features=weights)


def test_the_command_and_a_training_from_it(folder, tmp_path, capsys):
    size = ["--profile", "smoke", "--photos", str(folder)]
    out = tmp_path / "features"
    options = [*size, "--labels", "10", "--draws", "3", "--out", str(out)]
    assert learn(options) == 0
    assert "10 labels on these features: test accuracy" in capsys.readouterr().out
    saved = np.load(out / FILE)
    assert saved["features"].shape == (80, 64) and len(saved["paths"]) == 80
    assert str(saved["checksum"]) == scan(folder).checksum
    values = json.loads((out / "metrics.json").read_text())["values"]["rotation-contrast"]
    assert len(values["last"]) == 3 and 0 <= values["clusters"][0] <= 1
    assert learn(options) == 0 and "already done" in capsys.readouterr().out

    more = [*size, "--labels", "10", "--features", str(out), "--out", str(tmp_path / "run")]
    assert train(more) == 0
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["settings"]["features"] == str(out) and metrics["data"]["features"]
    capsys.readouterr()
    assert train([*more, "--width", "16"]) == 2
    assert "holds another run" in capsys.readouterr().err


def test_what_is_no_folder_of_features_is_refused(tmp_path):
    with pytest.raises(InputError, match="is nothing; accepted: what"):
        load_weights(tmp_path)
    save_checkpoint(tmp_path / "model.pt", {"kind": "another"})
    with pytest.raises(InputError, match="is another model"):
        load_weights(tmp_path)
