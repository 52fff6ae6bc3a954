"""Choosing: each method does what its paper says, knows no class, and repeats itself."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.preprocessing import normalize

from ssgan_core.errors import InputError
from ssgan_core.labeling.choose import METHODS, choose

CENTERS = 5 * np.eye(6, 16)


@pytest.fixture(scope="module")
def blobs():
    """Six blobs of 40 to 90 points in 16 dimensions, and which one each point belongs to."""
    sizes = [90, 80, 70, 60, 50, 40]
    points, blob = make_blobs(sizes, 16, centers=CENTERS, cluster_std=0.4, random_state=0)
    return points.astype(np.float32), blob


def first(groups):
    return np.array([group[0] for group in groups])


@pytest.mark.parametrize("method", METHODS)
def test_groups_share_out_all_rows_and_repeat_by_seed(blobs, method):
    points, _ = blobs
    groups = choose(method, points, 10, seed=3)
    assert sorted(np.concatenate(groups)) == list(range(len(points))) and len(groups) == 10
    again = choose(method, points, 10, seed=3)
    assert all((one == other).all() for one, other in zip(groups, again, strict=True))


@pytest.mark.parametrize("method", ["kmeans", "typical", "herding"])
def test_each_blob_gets_one_choice_and_its_substitutes(blobs, method):
    points, blob = blobs
    groups = choose(method, points, 6)
    assert sorted(blob[first(groups)]) == list(range(6))
    for group in groups:
        assert (blob[group] == blob[group[0]]).all()
    if method != "herding":
        assert [len(group) for group in groups] == sorted(map(len, groups), reverse=True)


@pytest.mark.parametrize("method", ["kmeans", "typical", "herding"])
def test_the_length_of_features_does_not_count(blobs, method):
    points, _ = blobs
    longer = points * np.linspace(1, 9, len(points), dtype=np.float32)[:, None]
    assert (first(choose(method, points, 6)) == first(choose(method, longer, 6))).all()


def test_random_is_another_for_another_seed_and_nested():
    nothing = np.empty((500, 0), dtype=np.float32)
    hundred = first(choose("random", nothing, 100))
    assert len(set(hundred)) == 100
    assert (first(choose("random", nothing, 50)) == hundred[:50]).all()
    assert set(first(choose("random", nothing, 100, seed=1))) != set(hundred)


def test_herding_permuted_chooses_the_same_and_ladders_are_nested(blobs):
    points, _ = blobs
    order = np.random.default_rng(1).permutation(len(points))
    chosen = first(choose("herding", points, 20))
    assert (order[first(choose("herding", points[order], 20))] == chosen).all()
    assert (first(choose("herding", points, 7)) == chosen[:7]).all()


def test_herding_is_the_greedy_maximum_of_coverage(blobs):
    points = normalize(blobs[0][::3].astype(np.float64))
    kernel = np.exp(-((points[:, None] - points[None]) ** 2).sum(-1))
    chosen = []
    for _ in range(8):
        coverage = [kernel[:, [*chosen, row]].max(1).mean() for row in range(len(points))]
        chosen.append(int(np.argmax(coverage)))
    assert first(choose("herding", points.astype(np.float32), 8)).tolist() == chosen


def test_kmeans_choice_is_the_nearest_of_its_blob(blobs):
    points, blob = blobs
    unit = normalize(points)
    for row in first(choose("kmeans", points, 6)):
        mine = np.flatnonzero(blob == blob[row])
        distance = np.linalg.norm(unit[mine] - unit[mine].mean(0), axis=1)
        assert row == mine[distance.argmin()]


def test_typical_passes_over_tiny_clusters_while_others_have_rows():
    rng = np.random.default_rng(0)
    two, lone = CENTERS[np.repeat([0, 1], 30)], CENTERS[[2, 3]]
    points = np.concatenate([two, lone]) + 0.1 * rng.standard_normal((62, 16))
    chosen = first(choose("typical", points.astype(np.float32), 4))
    assert (chosen < 60).all() and (chosen < 30).sum() == 2
    assert len(choose("typical", points[-4:].astype(np.float32), 4)) == 4  # where all are tiny


def test_twins_are_not_both_chosen_by_herding_before_all_else_is():
    points = np.repeat(np.eye(4, dtype=np.float32), 3, axis=0)
    groups = choose("herding", points, 6)
    assert sorted(first(groups)[:4] // 3) == [0, 1, 2, 3] and len(set(first(groups))) == 6


@pytest.mark.parametrize(
    ("name", "method", "arguments"),
    [
        ("TypiClust", "typical", {"k": 20, "cluster_algo_dict": {"n_init": "auto"}}),
        ("MaxHerding", "herding", {"metric_dict": {"gamma": 1.0}}),
    ],
)
@pytest.mark.parametrize("count", [6, 17])
def test_chooses_what_scikit_activeml_does(blobs, name, method, arguments, count):
    pool = pytest.importorskip("skactiveml.pool", reason="scikit-activeml is not installed")
    points, _ = blobs
    unit = normalize(points)
    strategy = getattr(pool, name)(random_state=0, missing_label=-1, **arguments)
    theirs = strategy.query(unit, np.full(len(unit), -1), batch_size=count)
    ours = first(choose(method, points, count))
    # they order clusters of one size by chance
    assert set(ours) == set(theirs) if method == "typical" else (ours == theirs).all()


@pytest.mark.parametrize("count", [0, 501])
def test_too_few_and_too_many_are_refused(count):
    with pytest.raises(InputError, match=f"count is {count}; 1 to 500"):
        choose("random", np.empty((500, 0)), count)


@pytest.mark.parametrize("value", [0, np.nan, np.inf])
def test_features_that_say_nothing_are_refused(blobs, value):
    points = blobs[0].copy()
    points[7] = value
    with pytest.raises(InputError, match="row 7 have length"):
        choose("typical", points, 5)
