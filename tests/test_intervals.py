"""How results are stated: intervals, paired differences, verdicts."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ssgan_core.errors import InputError
from ssgan_core.intervals import (
    crossed_error,
    draw_by_draw,
    format_ci,
    gain,
    gains_table,
    gap,
    interval_table,
    lies_above,
    mean_ci,
    spread_ratio,
    taken_together,
    wilson_ci,
)


def runs(accuracies, **options):
    return pd.DataFrame({"seed": range(len(accuracies)), "last": accuracies}, **options)


def photo_by_photo(marks, **columns):
    """Runs that tell which photos they read right: marks (draws, photos) of 0 and 1."""
    told = ["".join(map(str, row)) for row in marks.astype(int)]
    return runs(marks.mean(1)).assign(correct=told, **columns)


def test_student_interval_of_a_worked_case():
    mean, half = mean_ci([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert half == pytest.approx(4.3027 * 1 / math.sqrt(3), rel=1e-4)
    assert math.isnan(mean_ci([1.0])[1])
    assert all(map(math.isnan, mean_ci([0.9, math.nan, 0.8])))  # no run is left out in silence


def test_formatted_interval():
    assert format_ci([0.7]) == "70.0 %"
    assert format_ci([0.6, 0.7, 0.8]) == "70.0 ± 24.8 %"


def test_no_interval_is_told_beyond_all_and_nothing():
    assert format_ci([0.97, 0.98, 0.996]) == "98.2 % (94.9 to 100)"
    assert format_ci([0.01, 0.02, 0.06]) == "3.0 % (0 to 9.6)"


def test_wilson_interval_stays_inside_zero_and_one():
    low, high = wilson_ci(10, 10)
    assert 0.6 < low < 0.8 and high == 1.0


def test_the_interval_of_a_ratio_of_spreads_covers_it():
    """19 times of 20 the interval holds the true ratio, here 1/2 (binomial bounds of 400)."""
    random, covered = np.random.default_rng(0), 0
    for _ in range(400):
        ratio, low, high = spread_ratio(random.normal(0, 1, 8), random.normal(5, 2, 30))
        assert low < ratio < high
        covered += low < 0.5 < high
    assert 366 <= covered <= 392


def test_a_paired_gain_is_told_with_its_interval_and_what_it_allows_to_say():
    others = runs([0.70, 0.71, 0.72])
    clear = gain(runs([0.80, 0.82, 0.81]), others)
    assert str(clear) == "+10.0 ± 2.5 points" and clear.sentence == "The interval excludes zero."
    unclear = gain(runs([0.80, 0.60, 0.75]), others)
    assert str(unclear).startswith("+0.7 ± ") and "contains zero" in unclear.sentence
    single = gain(runs([0.7]), runs([0.8]))
    assert str(single) == "-10.0 points" and "anecdote" in single.sentence
    none = gain(runs([0.7]), runs([0.8])[:0])
    assert str(none) == "–" and none.each == () and "same labels" in none.sentence


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([0.02, 0.03, 0.025, 0.02], "adds"),
        ([-0.02, -0.03, -0.025, -0.02], "costs"),
        ([0.03, -0.03, 0.04, -0.02], "open"),
        ([0.02], "open"),
    ],
)
def test_three_verdicts(differences, verdict):
    alone = 0.7 * np.ones(len(differences))
    assert gain(runs(alone + differences), runs(alone)).verdict == verdict


@pytest.mark.parametrize(
    ("differences", "becomes"),
    [
        ([0.10, 0.11, 0.105], "holds"),
        ([0.06, 0.07, 0.10], "holds in part"),  # only its wide interval reaches ten
        ([0.02, 0.03, 0.025], "holds in part"),
        ([-0.02, -0.03, -0.025], "does not hold"),
        ([0.12, -0.10, 0.2], "open"),
        ([0.12], "open"),
        ([], "open"),
    ],
)
def test_a_claim_of_ten_points(differences, becomes):
    alone = 0.7 * np.ones(len(differences))
    assert gain(runs(alone + differences), runs(alone)).reaches(10) == becomes


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.6, 0.61, 0.62], "holds"),
        ([0.4, 0.41, 0.42], "does not hold"),
        ([0.4, 0.6, 0.62], "open"),
        ([0.9], "open"),  # one draw has no interval
    ],
)
def test_a_mean_lies_above_a_bar_where_its_interval_does(values, verdict):
    assert lies_above(values, 0.5) == verdict


@pytest.mark.parametrize(
    ("verdicts", "told"),
    [
        (["holds", "holds"], "holds"),
        (["does not hold"], "does not hold"),
        (["holds", "open"], "holds in part"),
        (["does not hold", "holds in part"], "holds in part"),
        (["does not hold", "open"], "open"),
    ],
)
def test_several_tests_of_one_claim_have_one_verdict(verdicts, told):
    assert taken_together(verdicts) == taken_together(verdicts[::-1]) == told


def test_every_run_stands_in_a_table_of_methods_and_draws():
    rows = [("gan", 1, 0.5), ("gan", 0, 0.625), ("alone", 1, 0.25)]
    table = draw_by_draw(pd.DataFrame(rows, columns=["method", "seed", "last"]))
    assert table.loc["gan"].tolist() == ["62.5", "50.0"] and list(table.index) == ["gan", "alone"]
    assert table.loc["alone"].tolist() == ["–", "25.0"]


def test_a_gain_names_its_steps_where_they_differ():
    frame = pd.DataFrame({"seed": [0], "last": [0.7], "steps": [6000]})
    assert gain(frame, frame.assign(steps=3000)).unequal_steps == " (6,000 : 3,000 steps)"
    assert gain(frame, frame).unequal_steps == ""
    assert gain(frame, frame).by_steps == "6,000"


def test_of_no_runs_the_tables_are_empty():
    none = pd.DataFrame(columns=["method", "seed", "last"])
    assert interval_table(none, against="alone").empty and draw_by_draw(none).empty
    assert gains_table(none, {}).empty


def test_nothing_that_matters_needs_the_test_photos_too():
    """Draws alone may agree by luck: which photos were read right is half of the noise."""
    alone = np.tile(np.arange(2000) < 1400, (4, 1))
    near = alone.copy()
    near[np.arange(4), [0, 1, 1999, 1998]] ^= True
    crossed = gain(photo_by_photo(near), photo_by_photo(alone))
    assert crossed.crossed and crossed.verdict == "nothing that matters"
    told = gain(runs(near.mean(1)), runs(alone.mean(1)))
    assert not told.crossed and told.verdict == "open"


def test_unequal_steps_are_said():
    mine, others = (runs([0.8, 0.9]).assign(steps=steps) for steps in (12_000, 6_000))
    assert "12,000 against 6,000" in gain(mine, others).sentence
    assert "steps" not in gain(mine, mine).sentence
    assert "steps" not in gain(runs([0.8, 0.9]), others).sentence
    graph = runs([0.8, 0.9]).assign(steps=0)  # takes none: there is nothing to be equal
    assert not gain(mine, graph).unequal and not gain(graph, mine).unequal


def test_a_gain_in_unequal_steps_says_so_in_a_table_of_methods():
    sides = {"a": 2000, "b": 1000, "c": 1000}
    told = pd.concat(runs([0.8, 0.9]).assign(method=m, steps=n) for m, n in sides.items())
    column = interval_table(told, against="b")["against b"]
    assert column.tolist() == ["+0.0 ± 0.0 points (2,000 : 1,000 steps)", "–", "+0.0 ± 0.0 points"]


def test_runs_are_paired_by_seed_not_by_label_or_place():
    mine, others = runs([0.8, 0.9], index=["a", "a"]), runs([0.7, 0.7], index=["b", "b"])
    assert str(gain(mine, others)).startswith("+15.0 ± ")
    mine, others = runs([0.6, 0.9], index=["a", "a"]), runs([0.5, 0.8], index=["b", "b"])
    assert str(gain(mine, others[::-1])) == "+10.0 ± 0.0 points"


def test_runs_pair_by_their_labels_too_where_these_are_told():
    """Two sets of labels share their seeds; no run is held against one of other labels."""
    mine = pd.concat([runs([0.8, 0.9]).assign(labeled_set=s) for s in ("a", "b")])
    others = pd.concat(
        [
            runs([0.7, 0.7]).assign(labeled_set="b", last=[0.7, 0.75]),
            runs([0.1, 0.1]).assign(labeled_set="c"),
        ]
    )
    assert gain(mine, others).each == pytest.approx((10, 15))
    assert gain(mine[:2], others).each == ()
    assert len(gain(mine[:2].drop(columns="labeled_set"), others[:2]).each) == 2


def test_one_draw_is_told_by_the_photos_that_only_one_side_reads_right():
    """Of 20 photos 7 against 1: exact McNemar has p = 2 (1 + 8) / 2⁸."""
    mine, other = np.ones((1, 20)), np.ones((1, 20))
    mine[0, 0], other[0, 1:8] = 0, 0
    found = gain(photo_by_photo(mine), photo_by_photo(other))
    assert found.alone == (7, 1) and found.mcnemar == pytest.approx(18 / 256)
    same = gain(photo_by_photo(mine), photo_by_photo(mine))
    assert same.alone == (0, 0) and same.mcnemar == 1
    two = gain(photo_by_photo(np.tile(mine, (2, 1))), photo_by_photo(np.tile(other, (2, 1))))
    assert two.alone == (14, 2) and math.isnan(two.mcnemar)
    assert gain(runs([0.8]), runs([0.7])).alone is None


def test_other_numbers_of_photos_pair_by_draw_alone():
    marks = np.random.default_rng(0).random((4, 40)) < 0.8
    fewer = marks[:, :30]
    mixed = gain(photo_by_photo(marks), photo_by_photo(fewer))
    assert mixed == gain(runs(marks.mean(1)), runs(fewer.mean(1)))


def test_the_crossed_error_is_that_of_other_draws_and_other_photos():
    """Simulated: draws and photos both vary, and the error is how far their mean strays."""
    rng = np.random.default_rng(0)

    def sample(draws=6, photos=50):
        return (
            0.10 * rng.normal(size=(draws, 1))
            + 0.40 * rng.normal(size=photos)
            + 0.50 * rng.normal(size=(draws, photos))
        )

    tables = [sample() for _ in range(2000)]
    truth = np.std([table.mean() for table in tables])
    told = np.sqrt(np.mean([crossed_error(table)[0] ** 2 for table in tables]))
    assert told == pytest.approx(truth, rel=0.05)
    covered = [abs(t.mean()) <= gain_half(t) for t in tables]
    assert 0.93 < np.mean(covered) < 0.98


def test_the_crossed_error_of_two_means_is_that_of_other_draws_and_other_photos():
    """Simulated: 4 draws against 9 others on 50 photos, some of which are easier for one side."""
    rng = np.random.default_rng(0)

    def sample():
        photos = 0.3 * rng.normal(size=50)
        return tuple(
            spread * rng.normal(size=(draws, 1))
            + photos
            + own * rng.normal(size=50)
            + 0.5 * rng.normal(size=(draws, 50))
            for draws, spread, own in ((4, 0.2, 0.3), (9, 0.1, 0.1))
        )

    pairs = [sample() for _ in range(2000)]
    truth = np.std([mine.mean() - other.mean() for mine, other in pairs])
    told = np.sqrt(np.mean([crossed_error(*pair)[0] ** 2 for pair in pairs]))
    assert told == pytest.approx(truth, rel=0.05)
    covered = [abs(mine.mean() - other.mean()) <= gain_half(mine, other) for mine, other in pairs]
    assert 0.93 < np.mean(covered) < 0.98


def gain_half(*sides):
    error, freedom = crossed_error(*sides)
    return stats.t.ppf(0.975, freedom) * error


def test_photos_widen_the_interval_where_they_disagree():
    rng = np.random.default_rng(0)
    alone = np.tile(rng.random(200) < 0.8, (5, 1))  # draws that all agree
    better = alone | (np.arange(200) < 30)  # the same few photos in every draw
    wide = gain(photo_by_photo(better), photo_by_photo(alone))
    narrow = gain(runs(better.mean(1)), runs(alone.mean(1)))
    assert wide.mean == pytest.approx(narrow.mean) and wide.half > narrow.half
    noisy = [alone[:2] ^ (rng.random((2, 200)) < share) for share in (0.05, 0.3)]  # of two draws
    crossed = gain(*map(photo_by_photo, noisy))
    assert crossed.half >= gain(*(runs(side.mean(1)) for side in noisy)).half > 0
    error, freedom = crossed_error(100.0 * (noisy[0].astype(int) - noisy[1]))
    assert crossed.half > stats.t.ppf(0.975, freedom) * error  # which draws alone exceed
    mixed = gain(photo_by_photo(better), runs(alone.mean(1)))
    assert mixed == narrow  # where one side tells no photos: draws alone


def test_gains_are_a_table_a_question_a_row():
    a, b = runs([0.8, 0.9, 0.85]).assign(method="a"), runs([0.7, 0.8, 0.75]).assign(method="b")
    table = gains_table(pd.concat([a, b]), {"a part": ("a", "b"), "nothing": ("a", "c")})
    assert table.loc["a part"].tolist() == ["a − b", "+10.0 ± 0.0 points", 3, "draws", "adds"]
    assert table.loc["nothing"].tolist() == ["a − c", "–", 0, "–", "–"]
    marks = {
        name: np.random.default_rng(seed).random((3, 40)) < 0.8 for seed, name in enumerate("ab")
    }
    by_photo = pd.concat(photo_by_photo(m).assign(method=name) for name, m in marks.items())
    assert "interval over" not in gains_table(by_photo, {"a part": ("a", "b")})
    mixed = gains_table(pd.concat([by_photo, b.assign(method="c")]), {0: ("a", "b"), 1: ("a", "c")})
    assert mixed["interval over"].tolist() == ["draws, images", "draws"]
    longer = pd.concat([a.assign(steps=2000), b.assign(steps=1000)])
    told = gains_table(longer, {"a": ("a", "b")})
    assert told.loc["a", "steps"] == "2,000 : 1,000" and "minutes" not in told
    timed = gains_table(longer.assign(minutes=longer.steps / 250), {"a": ("a", "b")})
    assert timed.loc["a", "minutes"] == "8 : 4"
    unknown = by_photo.assign(minutes=np.nan)  # takes no photo from the interval
    assert "interval over" not in gains_table(unknown, {"a part": ("a", "b")})
    probed = pd.concat([a.assign(probe=a["last"] - 0.1), b.assign(probe=b["last"])])
    wider = gains_table(probed, {"a part": ("a", "b"), "nothing": ("a", "c")}, {"probe": "probe"})
    assert wider["probe"].tolist() == ["+0.0 ± 0.0", "–"]
    assert wider.drop(columns="probe").equals(table)


def test_photos_that_do_not_add_up_to_the_accuracy_are_refused():
    marks = np.array([[1, 1, 0, 0], [1, 0, 0, 0]])
    other = photo_by_photo(marks)
    with pytest.raises(InputError, match="correct"):
        gain(other.assign(last=0.9), other)


def test_runs_that_tested_other_photos_are_compared_on_those_in_common():
    """Whatever the order in which each names them; with none in common, by draws alone."""
    names = ["a b c d", "d b c e"]
    mine = pd.DataFrame({"seed": [0, 1], "last": [0.75, 0.75], "correct": ["1101", "1110"]})
    other = pd.DataFrame({"seed": [0, 1], "last": [0.25, 0.5], "correct": ["0010", "0011"]})
    mine, other = (runs.assign(test_photos=names[i]) for i, runs in enumerate((mine, other)))
    found = gain(mine, other)  # on b, c, d: 1 0 1 and 1 1 0 against 0 1 0 and 0 1 0
    assert found.each == pytest.approx((100 / 3, 100 / 3))
    assert found.alone == (3, 1)
    apart = gain(mine, other.assign(test_photos="e f g h"))
    assert apart.each == pytest.approx((50, 25)) and apart.alone is None


def test_a_gap_between_runs_that_are_no_pairs_is_welchs():
    """By hand: means 0.75 and 0.6, variances 0.005 and 0.01 of 2 and 3 runs."""
    found = gap(runs([0.7, 0.8]), runs([0.5, 0.6, 0.7]))
    errors = 0.005 / 2, 0.01 / 3
    freedom = sum(errors) ** 2 / (errors[0] ** 2 / 1 + errors[1] ** 2 / 2)
    assert found.mean == pytest.approx(15)
    assert found.half == pytest.approx(100 * stats.t.ppf(0.975, freedom) * sum(errors) ** 0.5)
    assert found.half_90 == pytest.approx(100 * stats.t.ppf(0.95, freedom) * sum(errors) ** 0.5)
    assert found.verdict == "open" and found.each == pytest.approx((10, 20))
    assert str(gap(runs([0.7]), runs([0.5, 0.6]))) == "+15.0 points" and not found.crossed


def test_a_gap_covers_other_photos_where_both_sides_tell_them():
    rng = np.random.default_rng(0)
    easy = rng.random(200) < 0.7  # photos that nearly every run reads right, and others none
    alone = easy ^ (rng.random((6, 200)) < 0.02)
    better = (easy | (np.arange(200) < 40)) ^ (rng.random((5, 200)) < 0.02)
    found = gap(photo_by_photo(better), photo_by_photo(alone))
    assert found.crossed and found.half == pytest.approx(100 * gain_half(better, alone))
    narrow = gap(runs(better.mean(1)), runs(alone.mean(1)))
    assert found.mean == pytest.approx(narrow.mean) and found.half > narrow.half
    assert len(found.each) == 5 and np.mean(found.each) == pytest.approx(found.mean)


@pytest.mark.filterwarnings("error")
def test_runs_that_end_alike_have_no_spread_and_that_is_no_fault():
    assert str(gap(runs([0.55, 0.55]), runs([0.6, 0.6]))) == "-5.0 ± 0.0 points"
