"""Interactive figures as a reader uses them, in headless Chromium, and where no script runs."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch

from ssgan_core import losses
from ssgan_core.interactive.figure import interactive
from ssgan_core.plane.figures import FILM_HALF, FILM_SIDE, film, film_watch, k_logits
from ssgan_core.plane.points import draw_many, rings
from ssgan_core.plane.settings import Recipe
from ssgan_core.plane.study import compare
from ssgan_core.ssgan.figures import RULES, stopping


@pytest.fixture
def opened(opened, tmp_path):
    """Opens figures on a page of their own."""

    def open_figures(*figures, **options):
        text = "<!doctype html><meta charset='utf-8'>" + "".join(f.html for f in figures)
        (tmp_path / "page.html").write_text(text, encoding="utf-8")
        return opened(tmp_path / "page.html", **options)

    return open_figures


@pytest.fixture(scope="module")
def machine():
    return k_logits("D rises, no class does.")


CURVES = [[0.55, 0.7, 0.6, 0.8, 0.5, 0.65, 0.61], [0.5, 0.6, 0.7, 0.75, 0.8, 0.79, 0.81]]


@pytest.fixture(scope="module")
def stopped():
    runs = pd.DataFrame({"validation": CURVES, "last": [0.6, 0.82], "best": [0.78, 0.82]})
    return stopping({"one": runs[:1], "both": runs}, {"a <paper>": 0.832}, "It leaps.")


DATA = rings(200)
RECIPES = {"late": Recipe("oracle"), "first <b>": Recipe("vanilla", labeled_start=0)}


@pytest.fixture(scope="module")
def runs():
    return compare(DATA, RECIPES, {2: 3}, 12, 0, watch=film_watch(DATA), every=4)


@pytest.fixture(scope="module")
def filmed(runs):
    rows = draw_many(DATA.classes, 2, 3, 0, 4)
    enter = {name: recipe.labeled_start for name, recipe in RECIPES.items()}
    return film(runs, [2, 0], rows, DATA, 12, 4, enter, tuple(RECIPES), "A wall.")


def numbers(page, *names):
    return [float(page.inner_text(f"#{name}").removesuffix(" %")) for name in names]


def told(page):
    """The two logits, as the labels of the sliders say them."""
    return [float(page.inner_text(f"#told-{k}").replace("−", "-")) for k in (0, 1)]


def test_the_k_logit_machine_says_what_the_package_computes(opened, machine):
    page = opened(machine)
    for logits in ([2.0, 1.0], [-6.0, 6.0], [0.0, 0.0], [-3.3, -3.4]):
        for k, value in enumerate(logits):
            page.locator(f"#logit-{k}").fill(str(value))
        given = torch.tensor([logits])
        d = losses.log_z(given).sigmoid()
        whole = torch.cat([given, torch.zeros(1, 1)], 1).softmax(1)[0]
        assert numbers(page, "first", "second", "generated") == pytest.approx(100 * whole, abs=0.51)
        assert numbers(page, "p1", "p2") == pytest.approx(100 * given.softmax(1)[0], abs=0.51)
        assert numbers(page, "d") == pytest.approx(d, abs=6e-4)
        both = torch.stack([losses.real_loss(given), losses.fake_loss(given)])
        assert numbers(page, "loss-real", "loss-fake") == pytest.approx(both, abs=6e-3)


def test_raising_all_logits_moves_d_and_no_class(opened, machine):
    page = opened(machine)
    page.focus("#logit-0")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    classes, d = numbers(page, "p1", "p2"), numbers(page, "d")
    page.keyboard.press("Enter")
    assert numbers(page, "p1", "p2") == classes and numbers(page, "d") > d
    assert page.inner_text("#said") == (
        "All raised by 1: D goes from 0.910 to 0.965, the classes stay at 73 % and 27 %."
    )
    for _ in range(3):
        page.keyboard.press("Enter")
    assert told(page) == [6, 5] and page.is_disabled("#raise")


def test_real_steps_are_those_of_gradient_descent_and_the_leader_runs_away(opened, machine):
    page = opened(machine)
    for start, logits in {"untied": [-2.0, -2.2], "tied": [-2.0, -2.0]}.items():
        page.click(f"#{start}")
        now = torch.tensor([logits])
        for _ in range(12):
            page.click("#real")
            now = now.requires_grad_()
            now = (now - torch.autograd.grad(losses.real_loss(now), now)[0]).detach()
        assert told(page) == pytest.approx(now[0].tolist(), abs=6e-3)
        share = numbers(page, "p1")[0]
        assert share == 50 if start == "tied" else share > 80


def test_a_slider_moves_by_keys_and_says_where_it_is(opened, machine):
    page = opened(machine)
    page.focus("#logit-1")
    page.keyboard.press("ArrowRight")
    assert told(page) == [2.0, 1.1]
    assert page.get_attribute("#logit-1", "aria-valuetext") == "1.10, p(2 | x) 29 %"
    assert page.get_by_label("logit of class 2").count() == 1


def test_what_a_rule_reports_is_what_the_package_computes(opened, stopped):
    page = opened(stopped)
    page.select_option("#series", "1")
    curves = pd.DataFrame(CURVES).T
    for key, (name, rule) in RULES.items():
        page.get_by_role("radio", name=name).check()
        reported = rule(curves)
        for end in (1, 3, 7):
            page.locator("#stop").fill(str(end))
            each = reported.iloc[end - 1]
            told = (
                f"you would have reported {100 * each.mean():.1f} %, the mean of 2 trainings with "
                f"{100 * each.min():.1f} to {100 * each.max():.1f} %."
            )
            assert told in page.inner_text("#said"), (key, end)
        later = reported.mean(axis=1)[3:]
        told = f"this rule reports {100 * later.min():.1f} to {100 * later.max():.1f} %."
        assert told in page.inner_text("#said")
    assert page.inner_text("#said").endswith(
        "the last network has 71.0 %, that of the best evaluation 80.0 %."
    )


def test_one_stops_by_keys_and_hears_what_would_have_been_reported(opened, stopped):
    page = opened(stopped)
    assert page.inner_text("#told") == "7 of 7"
    assert "a <paper>: 83.2 %" in page.text_content("#chart")
    page.focus("#stop")
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute("#stop", "aria-valuetext") == "6 of 7, 65.0 % reported"
    assert "you would have reported 65.0 %, of one training." in page.inner_text("#said")
    assert page.get_attribute("#chart", "aria-label") == page.inner_text("#said")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowRight")  # the next rule
    assert "you would have reported 80.0 %, of one training." in page.inner_text("#said")


def colors(page, side):
    """What a panel shows at its upper left, upper right and lower right corner: red, green, blue.

    Its pixels are read once: Chromium warns of more.
    """
    return page.locator(f"#canvas-{side}").evaluate(
        """(canvas) => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, 300, 300);
            const places = [[10, 10], [290, 10], [290, 290]].map(([x, y]) => 4 * (300 * y + x));
            return places.map((i) => [...data.slice(i, i + 3)]);
        }"""
    )


def test_the_film_shows_the_run_that_is_chosen_at_the_moment_that_is_chosen(opened, filmed, runs):
    page = opened(filmed)
    films = runs.set_index(["method", "draw"])
    page.get_by_text("draw 3: ").wait_for()
    for place, draw in enumerate([2, 0]):
        page.select_option("#draw", str(place))
        for moment, step in enumerate([1, 5, 9, 12]):
            page.locator("#moment").fill(str(moment))
            right = [float(films.film[name, draw][moment, -1]) / 2.55 for name in RECIPES]
            late, first = (f"{name} has {value:.0f} % of the test points right"
                           for name, value in zip(RECIPES, right, strict=True))  # fmt: skip
            late += "" if step > 6 else ", without a label so far"
            told = f"Step {step} of 12, draw {draw + 1}: {late}; {first}."
            assert page.inner_text("#said") == told
    for name in RECIPES:
        accuracy = films.accuracy[name, 0]
        assert f"{name} {100 * accuracy:.0f} %" in page.get_attribute("#dots", "aria-label")


def test_the_film_paints_the_two_maps(opened, runs):
    """Class 1 on the right and real above, whatever was trained."""
    maps = torch.zeros(2, FILM_SIDE, FILM_SIDE)
    maps[0, :, FILM_SIDE // 2 :] = maps[1, FILM_SIDE // 2 :] = 2 * FILM_HALF
    still = [torch.cat([maps.flatten(), torch.zeros(3)]).byte()[None]] * len(runs)
    rows = draw_many(DATA.classes, 2, 3, 0, 4)
    names = tuple(RECIPES)
    enter = dict.fromkeys(names, 1)
    page = opened(film(runs.assign(film=still), [0], rows, DATA, 1, 1, enter, names, "x"))
    page.get_by_text("draw 1: ").wait_for()
    blue, orange, white, green = [159, 190, 224], [248, 202, 157], [255, 255, 255], [47, 125, 91]
    for color, seen in zip((blue, orange, orange), colors(page, "left"), strict=True):
        assert seen == pytest.approx(color, abs=2)
    page.get_by_role("radio", name="D", exact=True).check()
    for color, seen in zip((green, green, white), colors(page, "right"), strict=True):
        assert seen == pytest.approx(color, abs=2)


def test_the_film_is_scrubbed_by_keys_and_has_a_tick_where_labels_enter(opened, filmed):
    page = opened(filmed)
    page.focus("#moment")
    page.get_by_text("draw 3: ").wait_for()
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#told") == "9 of 12"
    assert page.get_attribute("#moment", "aria-valuetext") in page.inner_text("#said").replace(
        ", draw 3", ""
    ).replace("Step", "step")
    assert page.inner_text("#tick") == "labels enter"
    page.select_option("#left", "1")
    assert page.inner_text("#tick") == ""


def test_figures_on_one_page_do_not_move_one_another(opened, machine):
    page = opened(machine, machine)
    hosts = page.locator(".interactive")
    hosts.nth(1).locator("#raise").click()
    assert [hosts.nth(i).locator("#d").inner_text() for i in (0, 1)] == ["0.910", "0.965"]


def test_where_no_script_runs_a_still_stands_there(opened, machine):
    page = opened(machine, java_script_enabled=False)
    still = page.get_by_alt_text("D rises, no class does.")
    assert still.is_visible() and still.bounding_box()["width"] > 300
    assert page.locator("button").count() == 0
    assert not opened(machine).get_by_alt_text("D rises, no class does.").is_visible()


@pytest.mark.parametrize("width", [320, 375, 900])
def test_they_fit_every_width(opened, machine, stopped, filmed, width):
    page = opened(machine, stopped, filmed, viewport={"width": width, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_no_text_of_the_data_or_of_the_alternative_closes_its_element(opened):
    odd = '</script><img src=x onerror="console.log(1)">'
    before = plt.get_fignums()
    figure = interactive("k_logits", {"start": [1, 1], "odd": odd}, plt.figure(), odd)
    assert plt.get_fignums() == before
    assert opened(figure).get_attribute(".interactive img", "alt") == odd
    assert figure._repr_mimebundle_()["text/plain"] == odd
    assert figure.still.startswith(b"\x89PNG")
