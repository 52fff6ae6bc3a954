"""Stacked training in the plane: runs are independent, schedules hold, input is checked."""

import dataclasses
import itertools

import pandas as pd
import pytest
import torch

from ssgan_core import losses
from ssgan_core.errors import InputError
from ssgan_core.plane import study as plane_experiment
from ssgan_core.plane.networks import StackedMLP
from ssgan_core.plane.points import draw_many, moons, rings
from ssgan_core.plane.settings import METHODS, ComplementSettings, Recipe
from ssgan_core.plane.training import Density, train, train_gan

DATA = rings(400)
LABELED = draw_many(DATA.classes, 4, draws=3, seed=0, width=8)


def outputs(trained):
    return trained.classifier(DATA.test_points[:50])[0].detach()


@pytest.mark.parametrize("recipe", METHODS.values(), ids=METHODS)
def test_a_run_in_a_stack_is_the_run_alone(recipe):
    together = outputs(train(DATA, LABELED, recipe, 12, [5, 6, 7]))
    for run in range(3):
        alone = outputs(train(DATA, LABELED[run : run + 1], recipe, 12, [5 + run]))
        torch.testing.assert_close(together[run], alone[0], rtol=1e-3, atol=1e-4)
    assert not together[0].allclose(together[1], atol=1e-2)


def test_stacked_network_equals_linear_layers():
    stack = StackedMLP((2, 8, 3), seeds=[1, 2])
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    hidden = torch.nn.functional.leaky_relu(x @ stack.weights[0][1] + stack.biases[0][1], 0.1)
    logits, features = stack(x)
    torch.testing.assert_close(features[1], hidden)
    torch.testing.assert_close(logits[1], hidden @ stack.weights[1][1] + stack.biases[1][1])
    assert logits.shape == (2, 5, 3)
    with pytest.raises(InputError, match="widths"):
        StackedMLP((2,), seeds=[1])


def test_tied_logits_stay_equal_until_a_label_arrives():
    recipe = Recipe("oracle", labeled_start=1.0)
    logits = outputs(train(DATA, LABELED, recipe, 20, [0, 1, 2]))
    torch.testing.assert_close(logits[..., 0], logits[..., 1], rtol=1e-4, atol=1e-5)
    assert logits.std() > 1e-3  # real and generated are told apart all the same
    late = outputs(train(DATA, LABELED, Recipe("oracle", labeled_start=0.5), 20, [0, 1, 2]))
    assert (late[..., 0] - late[..., 1]).abs().max() > 1e-3


def test_untied_logits_choose_a_class_without_any_label():
    recipe = Recipe("oracle", tied_logits=False, labeled_start=1.0)
    logits = outputs(train(DATA, LABELED, recipe, 20, [0, 1, 2]))
    assert (logits[..., 0] - logits[..., 1]).abs().mean() > 0.05


def test_every_term_of_a_recipe_changes_the_result():
    base = Recipe("complement", labeled_start=0.0, pull_away_weight=0.0, low_density_weight=0.0)
    plain = outputs(train(DATA, LABELED, base, 10, [0, 1, 2]))
    for change in (
        {"pull_away_weight": 1.0}, {"low_density_weight": 1.0}, {"matching_weight": 5.0},
        {"entropy_weight": 1.0, "entropy_start": 0.0}, {"consistency_weight": 1.0},
        {"labeled_weight": 1.0}, {"labeled_start": 0.9}, {"tied_logits": False},
    ):  # fmt: skip
        other = outputs(train(DATA, LABELED, dataclasses.replace(base, **change), 10, [0, 1, 2]))
        assert not other.allclose(plain, atol=1e-5), change


def test_the_supervised_network_learns_its_labels_and_the_oracle_stays_off_the_data():
    trained = train(DATA, LABELED, METHODS["supervised"], 200, [0, 1, 2])
    fitted = trained.classifier(DATA.points[LABELED])[0].argmax(-1)
    assert fitted.equal(DATA.classes[LABELED])
    assert trained.generate(10).shape == (3, 0, 2)
    density = Density.of(DATA.points, Recipe())
    assert density.low(density.outside).all()
    assert density.low(DATA.points).float().mean() == pytest.approx(0.1, abs=0.01)


def test_a_perfect_generator_returns_the_data_and_leaves_its_discriminator_at_one_half():
    """Where p_G is the data, D = 1/2 is best (Goodfellow 2014, section 4.1)."""
    recipe = dataclasses.replace(METHODS["perfect"], labeled_start=1.0)
    trained = train(DATA, LABELED, recipe, 300, [0, 1, 2])
    drawn = trained.generate(200)
    assert drawn.shape == (3, 200, 2)
    assert (drawn[:, :, None] == DATA.points).all(-1).any(-1).all()
    d = losses.log_z(trained.classifier(DATA.points)[0]).sigmoid()
    assert d.detach().mean(-1).tolist() == pytest.approx([0.5] * 3, abs=0.03)


def test_coverage_counts_the_sectors_of_both_rings_and_no_stray_points():
    density = Density.of(DATA.points, Recipe())
    every = plane_experiment.coverage(DATA.points[None], density, DATA)
    assert every > 0.95
    outer = plane_experiment.coverage(DATA.points[DATA.classes == 0][None], density, DATA)
    assert outer == pytest.approx(0.5, abs=0.03)
    spot = plane_experiment.coverage(DATA.points[:1].expand(2, 9, 2), density, DATA)
    assert spot.tolist() == pytest.approx([1 / 48, 1 / 48])
    assert plane_experiment.coverage(density.outside[None, :99], density, DATA) == 0
    with pytest.raises(InputError, match="moons"):
        plane_experiment.coverage(DATA.points[None], density, moons(400))


def test_an_ordinary_gan_has_one_logit_and_moves_towards_the_data():
    trained = train_gan(DATA, Recipe("vanilla"), 200, [0, 1])
    start = train_gan(DATA, Recipe("vanilla"), 1, [0, 1])
    assert trained.classifier(DATA.points)[0].shape == (2, 400, 1)
    before, after = (
        plane_experiment.coverage(t.generate(500), t.density, DATA) for t in (start, trained)
    )
    assert (after > before).all()


def test_watch_sees_the_run_at_the_steps_asked_for():
    seen = []
    trained = train(
        DATA, LABELED, METHODS["vanilla"], 9, [0, 1, 2],
        watch=lambda step, classifier, generated: seen.append((step, generated.shape)), every=4,
    )  # fmt: skip
    assert [step for step, _ in seen] == [0, 4, 8]
    assert trained.accuracy.shape == (3,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: train(DATA, LABELED[:, :0], Recipe(), 1, [0, 1, 2]), "0 labels"),
        (lambda: train(DATA, LABELED, Recipe(), 1, [0]), "accepted: 3"),
        (lambda: train(DATA, LABELED, Recipe(), 0, [0, 1, 2]), "'steps' is 0"),
        (lambda: Recipe(pull_away_weight=-1), "'pull_away_weight' is -1; accepted: 0 or more"),
        (lambda: Recipe(labeled_start=1.5), "'labeled_start' is 1.5; accepted: 0 to 1"),
        (lambda: Recipe(generator="evil"), "'generator' is 'evil'"),
        (lambda: ComplementSettings.resolve(draws=1), "'draws' is 1 .* ≥ 2"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_compare_pairs_the_draws_and_goes_on_where_it_was_killed(tmp_path, monkeypatch):
    recipes = {name: METHODS[name] for name in ("supervised", "oracle")}
    draws = {1: 2, 4: 3}

    def go():
        return plane_experiment.compare(DATA, recipes, draws, 8, 0, lambda n: tmp_path / n)

    calls = itertools.count()
    real = plane_experiment.train

    def dies_second_time(*arguments):
        if next(calls) == 1:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(plane_experiment, "train", dies_second_time)
    with pytest.raises(KeyboardInterrupt):
        go()
    frame = go()
    assert next(calls) == 3  # the finished method was not trained again
    monkeypatch.setattr(plane_experiment, "train", real)
    whole = plane_experiment.compare(DATA, recipes, draws, 8, 0)
    pd.testing.assert_frame_equal(frame, whole)
    assert len(frame) == 10
    assert frame[frame.method == "oracle"].low.eq(1).all()
    assert frame[frame.method == "supervised"].low.isna().all()
    assert plane_experiment.table(frame).shape == (2, 2)
    assert plane_experiment.compare(moons(400), recipes, draws, 2, 0).between.isna().all()


def test_a_kill_while_a_result_is_written_is_survived(tmp_path, monkeypatch):
    def go():
        files = lambda name: tmp_path / name  # noqa: E731
        return plane_experiment.compare(DATA, {"oracle": METHODS["oracle"]}, {1: 2}, 4, 0, files)

    def killed(state, file):
        file.write(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            go()
    assert len(go()) == 2


def test_every_method_learns_from_the_same_labels_with_the_same_seeds(monkeypatch):
    real, seen = plane_experiment.train, []

    def noted(data, rows, recipe, steps, seeds, *more):
        seen.append((rows.tolist(), list(seeds)))
        return real(data, rows, recipe, steps, seeds, *more)

    monkeypatch.setattr(plane_experiment, "train", noted)
    recipes = {name: METHODS[name] for name in ("supervised", "oracle")}
    plane_experiment.compare(DATA, recipes, {1: 2, 4: 3}, 2, 3)
    assert seen[0] == seen[1] and seen[0][1] == [3, 4, 3, 4, 5]


def test_sign_test_on_a_case_by_hand():
    rows = [("a", 4, i, x) for i, x in enumerate([0.9, 0.9, 0.9, 0.9, 0.5])]
    rows += [("b", 4, i, x) for i, x in enumerate([0.8, 0.8, 0.8, 0.95, 0.5])]
    frame = pd.DataFrame(rows, columns=["method", "labels", "draw", "accuracy"])
    result = plane_experiment.sign_test(frame, "a", "b", 4)
    # 3 of 4 decided draws won: (C(4,3) + C(4,4)) / 16
    assert result == {"wins": 3, "losses": 1, "ties": 1, "p": pytest.approx(5 / 16)}
    same = plane_experiment.sign_test(frame, "a", "a", 4)
    assert same == {"wins": 0, "losses": 0, "ties": 5, "p": 1.0}


def test_two_runs_at_the_goal_are_a_tie_whatever_their_third_digit():
    rows = [("a", 4, i, x) for i, x in enumerate([1.0, 1.0, 0.99, 1.0])]
    rows += [("b", 4, i, x) for i, x in enumerate([0.999, 0.993, 1.0, 0.98])]
    frame = pd.DataFrame(rows, columns=["method", "labels", "draw", "accuracy"])
    result = plane_experiment.sign_test(frame, "a", "b", 4)
    assert result == {"wins": 1, "losses": 0, "ties": 3, "p": 0.5}


def test_draws_at_the_goal_are_told_with_their_wilson_interval():
    assert plane_experiment.count_ci([1.0] * 18 + [0.98] * 2) == "18 of 20 (70 to 97 %)"
    assert plane_experiment.count_ci([0.99] * 10) == "10 of 10 (72 to 100 %)"


def test_results_stand_by_method_with_their_intervals_and_what_chance_could_do():
    runs = [("a", 2, value) for value in (1.0, 1.0, 0.5)] + [("b", 2, 1.0)] * 3 + [("b", 4, 0.5)]
    frame = pd.DataFrame(runs, columns=["method", "labels", "accuracy"])
    shown = plane_experiment.results_table(frame, 2, against="b")
    assert shown.index.tolist() == ["a", "b"]
    assert shown["draws at 99 %"].tolist() == ["2 of 3 (21 to 94 %)", "3 of 3 (44 to 100 %)"]
    assert shown["accuracy"].tolist() == ["83.3 % (11.6 to 100)", "100.0 ± 0.0 %"]
    assert shown["Fisher's p"].tolist() == ["1", "–"]


def test_fishers_test_on_a_case_by_hand():
    found = {"a": [1.0] * 10, "b": [1.0] * 7 + [0.6] * 3}
    rows = [(name, 4, i, x) for name, values in found.items() for i, x in enumerate(values)]
    frame = pd.DataFrame(rows, columns=["method", "labels", "draw", "accuracy"])
    # all 3 failures on one side: 2 C(10,3) / C(20,3)
    assert plane_experiment.fisher_p(frame, "a", "b", 4) == pytest.approx(240 / 1140)
    assert plane_experiment.fisher_p(frame, "a", "a", 4) == 1.0


def test_what_is_watched_stays_with_each_run_and_survives_a_kill(tmp_path):
    recipes = {name: METHODS[name] for name in ("supervised", "oracle")}

    def compared():
        return plane_experiment.compare(
            DATA, recipes, {2: 2}, 5, 0, lambda n: tmp_path / n,
            lambda step, classifier, generated: torch.tensor([[step], [10 + step]]), 2,
        )  # fmt: skip

    for frame in (compared(), compared()):  # the second from the checkpoints
        assert [film.flatten().tolist() for film in frame.film] == [[0, 2, 4], [10, 12, 14]] * 2
    plain = plane_experiment.compare(DATA, recipes, {2: 2}, 5, 0)
    assert plain.accuracy.equals(compared().accuracy)
