"""How a result is stated: means with intervals, paired differences with what they allow to say.

Runs are frames as `ssgan_core.results` has them: a row a run, `method`, `seed`, and in other
columns what was measured.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from ssgan_core.errors import InputError

ACCURACIES = {"test accuracy": "last", "linear probe": "probe"}
OF_PHOTOS = ("correct", "tested", "test_photos")  # what tells of single test photos
MATTERS = 1.0  # points; a smaller difference than that is none for whoever uses the classifier
SENTENCES = {
    "adds": "The interval excludes zero.",
    "costs": "The interval excludes zero.",
    "nothing that matters": "The 90 % interval lies within a point of zero: nothing that matters.",
    "open": "The interval contains zero: these draws do not show a difference.",
}


def mean_ci(values: Sequence[float]) -> tuple[float, float]:
    """Mean of independent runs and the half width of its 95 % Student-t interval; `nan` of one."""
    values = pd.Series(values, dtype=float)
    half = stats.t.ppf(0.975, len(values) - 1) * values.sem(skipna=False)
    return float(values.mean(skipna=False)), float(half)


def lies_above(values: Sequence[float], bar: float) -> str:
    """Whether the mean of what independent runs measure lies above a bar: it `holds` or `does not
    hold` where the 95 % interval is on one side, and is `open` where the bar lies in it."""
    mean, half = mean_ci(values)
    return "holds" if mean - half > bar else "does not hold" if mean + half < bar else "open"


def taken_together(verdicts: Sequence[str]) -> str:
    """The verdict on a claim that several tests ask: theirs; where they differ it `holds in part`
    if it holds, or does in part, by one of them, and is `open` if by none."""
    if len({*verdicts}) == 1:
        return verdicts[0]
    return "holds in part" if {"holds", "holds in part"} & {*verdicts} else "open"


def wilson_ci(correct: int, total: int) -> tuple[float, float]:
    """95 % Wilson interval of an accuracy counted on `total` test images (Wilson 1927)."""
    interval = stats.binomtest(correct, total).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def spread_ratio(values: Sequence[float], others: Sequence[float]) -> tuple[float, float, float]:
    """Standard deviation of independent values over that of others, and its 95 % interval.

    The interval is that of the F distribution, for values that are normally distributed.
    """
    ratio = np.std(values, ddof=1) / np.std(others, ddof=1)
    freedom = len(values) - 1, len(others) - 1
    low, high = (ratio / np.sqrt(stats.f.ppf(level, *freedom)) for level in (0.975, 0.025))
    return float(ratio), float(low), float(high)


def format_ci(values: Sequence[float]) -> str:
    """Percent with its interval, `71.3 ± 2.4 %`, or `98.2 % (95.5 to 100)` where that would leave
    0 to 100; a single run is printed without one, and what a run lacks as `not measured`."""
    mean, half = (100 * part for part in mean_ci(values))
    if np.isnan(mean):
        return "not measured"
    if np.isnan(half):
        return f"{mean:.1f} %"
    if mean - half >= 0 and mean + half <= 100:
        return f"{mean:.1f} ± {half:.1f} %"
    low, high = np.clip([mean - half, mean + half], 0, 100)
    return f"{mean:.1f} % ({low.round(1):g} to {high.round(1):g})"


@dataclass(frozen=True)
class Gain:
    """What runs gain over others of the same seeds, in points.

    `half` and `half_90` are the half widths of the 95 % and 90 % intervals, NaN of one draw;
    `each` is the difference of every pair; `steps` and `minutes` are the mean training steps and
    time of each side; `alone` is how many test photos one side read right and the other did not,
    where both tell, and `crossed` whether the intervals cover other test photos or draws alone.
    """

    mean: float
    half: float
    half_90: float
    each: tuple[float, ...]
    steps: tuple[float, float]
    alone: tuple[int, int] | None = None
    crossed: bool = False
    minutes: tuple[float, float] = (np.nan, np.nan)

    @property
    def verdict(self) -> str:
        """`adds` or `costs` where the 95 % interval excludes 0, `nothing that matters` where the
        90 % interval is crossed and lies within a point of 0 (the two one-sided tests of
        equivalence; Schuirmann 1987), else `open`: a thousand test photos alone may leave more."""
        if abs(self.mean) > self.half:
            return "adds" if self.mean > 0 else "costs"
        within = self.crossed and abs(self.mean) + self.half_90 <= MATTERS
        return "nothing that matters" if within else "open"

    def reaches(self, points: float) -> str:
        """What becomes of the claim that so many points are gained: it `holds` where the 95 %
        interval excludes 0 and the mean reaches them, `holds in part` where it is less."""
        if self.verdict == "adds":
            return "holds" if self.mean >= points else "holds in part"
        return "open" if self.verdict == "open" else "does not hold"

    def __str__(self) -> str:
        """`+2.1 ± 1.4 points`; a dash where no two runs share a seed."""
        if not self.each:
            return "–"
        mean = f"{round(self.mean, 1) + 0.0:+.1f}"  # + 0.0: never -0.0
        return f"{mean} points" if np.isnan(self.half) else f"{mean} ± {self.half:.1f} points"

    @property
    def sentence(self) -> str:
        """What that allows to say, and whether both sides had the same number of steps."""
        if not self.each:
            return "No two runs have the same labels."
        if np.isnan(self.half):
            said = "One draw has no spread: this is an anecdote, not a result."
        else:
            said = SENTENCES[self.verdict]
        if self.unequal:
            said += " The steps are not equal: {:,.0f} against {:,.0f}.".format(*self.steps)
        return said

    @property
    def mcnemar(self) -> float:
        """How probable it is that one draw's test photos part so unevenly by chance: exact
        two-sided p of McNemar (1947); NaN of more draws, whose interval covers the photos."""
        if self.alone is None or len(self.each) != 1:
            return np.nan
        return (
            float(stats.binomtest(self.alone[0], sum(self.alone)).pvalue)
            if any(self.alone)
            else 1.0
        )

    @property
    def by_steps(self) -> str:
        """`6,000 : 3,000`, the steps of both sides, or `6,000` of each."""
        return " : ".join(dict.fromkeys(f"{steps:,.0f}" for steps in self.steps))

    @property
    def unequal_steps(self) -> str:
        """` (6,000 : 3,000 steps)`, to stand behind a gain, where they differ; else nothing."""
        return f" ({self.by_steps} steps)" if self.unequal else ""

    @property
    def by_minutes(self) -> str:
        """`8 : 2`, the minutes of training of both sides, or a dash."""
        known = not np.isnan(self.minutes).any()
        return " : ".join(f"{minutes:,.0f}" for minutes in self.minutes) if known else "–"

    @property
    def unequal(self) -> bool:
        """Whether both sides took steps, of which the one more than the other by 1 % and more."""
        mine, other = self.steps
        return bool(mine and other and abs(mine - other) > 0.01 * other)


def gain(runs: pd.DataFrame, others: pd.DataFrame, column: str = "last") -> Gain:
    """What runs gain over others of the same seeds in a column of shares of 1.

    Where both tell their `labeled_set`, that has to be the same too. Where the column is the test
    accuracy and both tell photo by photo what they read right, the test photos that all runs have
    in common are compared, and the interval is crossed: it covers other draws of labels and other
    test photos (`crossed_error`), and is never narrower than that of draws alone, which it is else.
    InputError where the photos do not add up to the accuracy.
    """
    shared = [name for name in runs if name in others]
    by = [name for name in ("labeled_set", "seed") if name in shared]
    names = [name for name in (column, "steps", "minutes", *OF_PHOTOS) if name in shared]
    pair = [rows.set_index(by)[names] for rows in (runs, others)]
    both = pd.concat(pair, axis=1, join="inner", keys=("mine", "other"))
    points = 100 * (both["mine"][column] - both["other"][column]).astype(float)
    sides = (both["mine"], both["other"])
    steps, minutes = (
        tuple(side[cost].mean() if cost in names else np.nan for side in sides)
        for cost in ("steps", "minutes")
    )
    photos, alone = _marks_of(sides) if column == "last" else None, None
    if photos:
        points = pd.Series(100 * (photos[0].mean(1) - photos[1].mean(1)))
        alone = tuple(int((one > two).sum()) for one, two in (photos, photos[::-1]))
    if len(both) < 2:
        return Gain(points.mean(), np.nan, np.nan, tuple(points), steps, alone, minutes=minutes)
    halves = _halves(points.sem(skipna=False), len(both) - 1)
    if photos:
        halves = np.maximum(halves, _halves(*crossed_error(100 * (photos[0] - photos[1]))))
    mean, each = points.mean(skipna=False), tuple(points)
    return Gain(mean, *halves, each, steps, alone, bool(photos), minutes)


def gap(runs: pd.DataFrame, others: pd.DataFrame) -> Gain:
    """What runs have over others in test accuracy on average, where there is nothing to pair.

    The interval is crossed where both tell photo by photo what they read right, as in `gain`, and
    never narrower than that of Welch (1947), which it is else. Both let the two sides spread
    differently. `each` holds the runs less the mean of the others.
    """
    photos, unknown = _marks_of((runs, others)), (np.nan, np.nan)
    mine, other = [p.mean(1) for p in photos] if photos else (runs["last"], others["last"])
    each = 100 * (np.asarray(mine, dtype=float) - np.mean(other))
    if min(len(mine), len(other)) < 2:
        return Gain(each.mean(), *unknown, tuple(each), unknown)
    with warnings.catch_warnings():  # equal values are no fault; scipy doubts a spread of 0
        warnings.simplefilter("ignore", RuntimeWarning)
        found = stats.ttest_ind(mine, other, equal_var=False)
    halves = [50 * np.diff(found.confidence_interval(level)).item() for level in (0.95, 0.9)]
    if photos:
        halves = np.maximum(halves, _halves(*crossed_error(*(100 * p for p in photos))))
    return Gain(each.mean(), *halves, tuple(each), unknown, crossed=bool(photos))


def gains(
    runs: pd.DataFrame, pairs: Mapping[str, tuple[str, str]], column: str = "last"
) -> dict[str, Gain]:
    """What one method gains over another, question by question: title → (method, other)."""
    return {
        title: gain(runs[runs["method"] == method], runs[runs["method"] == other], column)
        for title, (method, other) in pairs.items()
    }


def marks(right: Iterable[bool]) -> str:
    """What `correct` holds of a run: image by image 1 where it was read right, else 0."""
    return "".join(str(int(one)) for one in right)


def _marks_of(sides: Sequence[pd.DataFrame]) -> list[np.ndarray] | None:
    """The `marks` of both sides' runs as numbers, (draws, images) each, on the images that all runs
    have in common; None where one tells none, or where they are of other images: `tested` differs,
    or their number, and not all name their `test_photos`.

    InputError where they do not add up to the accuracy.
    """
    sides = [side.filter(["last", *OF_PHOTOS]) for side in sides]
    if any("correct" not in side or side.empty or side.isna().any(axis=None) for side in sides):
        return None
    runs = pd.concat(sides).reindex(columns=["last", *OF_PHOTOS], fill_value="")
    names = runs["test_photos"].str.split()
    if (names.str.len() == runs["correct"].str.len()).all():
        common = sorted(set.intersection(*map(set, names)))
    elif runs["tested"].nunique() == runs["correct"].str.len().nunique() == 1:
        common = list(range(len(runs["correct"].iloc[0])))
        names = pd.Series([common] * len(runs), runs.index)
    else:
        return None
    read = np.empty((len(runs), len(common)), dtype=int)
    for row, (name, marked) in enumerate(zip(names, runs["correct"], strict=True)):
        if not np.isclose(marked.count("1") / len(marked), runs["last"].iloc[row]):
            raise InputError(
                f"of the photos in `correct` {marked.count('1') / len(marked)} are right, but "
                f"`last` is {runs['last'].iloc[row]}: these are not the same run"
            )
        known = dict(zip(name, marked, strict=True))
        read[row] = [int(known[one]) for one in common]
    return np.split(read, [len(sides[0])]) if common else None


def _halves(error: float, freedom: float) -> np.ndarray:
    """Half widths of the 95 % and the 90 % interval that Student's t has about a mean."""
    return error * stats.t.ppf([0.975, 0.95], freedom)


def crossed_error(values: np.ndarray, *others: np.ndarray) -> tuple[float, float]:
    """Standard error of the mean of values (draws, photos), both of them samples of many, or of how
    far it is from that of other draws on the same photos; and its degrees of freedom.

    With v_d, v_p and v_r the variances of a draw's mean, of a photo's mean and of what neither
    explains, the error is √(v_d/D + v_p/P − v_r/(DP)): each of the first two has v_r in it. Of two
    sides v_p is that of the photos' differences, and the other parts add up. Degrees of freedom as
    Satterthwaite (1946) has them.
    """
    photos = values.shape[1]
    by_photo = values.mean(0) - sum(side.mean(0) for side in others)
    parts, freedoms, noise = [by_photo.var(ddof=1) / photos], [photos - 1], 0.0
    for side in (values, *others):
        draws, by_draw = len(side), side.mean(1)
        rest = side - by_draw[:, None] - side.mean(0) + side.mean()
        parts.append(by_draw.var(ddof=1) / draws)
        freedoms.append(draws - 1)
        noise += (rest**2).sum() / ((draws - 1) * (photos - 1)) / (draws * photos)
    variance = max(sum(parts) - noise, parts[0], sum(parts[1:]))
    freedom = variance**2 / max(sum(np.square(parts) / freedoms), 1e-300)
    return float(np.sqrt(variance)), float(max(freedom, 1.0))


def interval_table(
    runs: pd.DataFrame,
    by: Sequence[str] = ("method",),
    against: str | None = None,
    columns: Mapping[str, str] = ACCURACIES,
) -> pd.DataFrame:
    """Means with their 95 % intervals over the runs that agree in the columns `by`, in percent.

    `columns` are title → column; one that no run has is left out. Beside the first stands what it
    gains over the method `against` in runs that agree in the seed and the rest of `by`; last
    comes the number of runs. Of no runs the table is empty.
    """
    shown = {t: c for t, c in columns.items() if c in runs and runs[c].notna().any()}
    groups, rows = dict(iter(runs.groupby(list(by), sort=False))), []
    for key, group in groups.items():
        here = dict(zip(by, key, strict=True))
        found = {title: group[column].dropna() for title, column in shown.items()}
        cells = {title: format_ci(v) if len(v) else "–" for title, v in found.items()}
        if against:
            others = groups.get(tuple((here | {"method": against}).values()), runs[:0])
            first, column = next(iter(shown.items()))
            told = "–"
            if here["method"] != against:
                found = gain(group, others, column)
                told = f"{found}{found.unequal_steps}"
            cells = {first: cells[first], f"against {against}": told} | cells
        rows.append(here | cells | {"runs": len(group)})
    return pd.DataFrame(rows, columns=None if rows else list(by)).set_index(list(by))


def draw_by_draw(runs: pd.DataFrame, by: Sequence[str] = ("method",)) -> pd.DataFrame:
    """Test accuracy of every run in percent: a row for what agrees in `by`, a column a draw."""
    order = runs.set_index(list(by)).index.unique()
    table = runs.pivot(index=list(by), columns="seed", values="last").reindex(order)
    table = table.map(lambda share: "–" if np.isnan(share) else f"{100 * share:.1f}")
    return table.rename_axis(columns="draw")


def gains_table(
    runs: pd.DataFrame,
    pairs: Mapping[str, tuple[str, str]],
    others: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """What one method gains over another, a row a question: title → (method, other).

    Where the steps of a question's two sides are not equal, a column tells them and another the
    minutes, and where an interval does not cover other test images, a third. `others` adds the
    gains in other shares than the test accuracy, in points: heading → column of `runs`. Their
    intervals never cover other images; where those of the test do, the heading says so.
    """
    asked = gains(runs, pairs)
    rows = {
        title: {
            "compared": " − ".join(pairs[title]),
            "difference": str(found),
            "draws": len(found.each),
            "steps": found.by_steps if found.each else "–",
            "minutes": found.by_minutes,
            "interval over": ("draws, images" if found.crossed else "draws")
            if len(found.each) > 1
            else "–",
            "verdict": found.verdict if len(found.each) > 1 else "–",
        }
        for title, found in asked.items()
    }
    table = pd.DataFrame.from_dict(rows, orient="index")
    several = [found for found in asked.values() if len(found.each) > 1]
    covered = any(found.crossed for found in several)
    for heading, column in (others or {}).items():
        found = gains(runs, pairs, column)
        heading += " (draws alone)" if covered else ""
        table[heading] = [str(found[title]).removesuffix(" points") for title in table.index]
    equal = not any(found.unequal for found in asked.values())
    unsaid = {
        "steps": equal,
        "minutes": equal or (table["minutes"] == "–").all(),
        "interval over": all(found.crossed for found in several),
    }
    return table.drop(columns=[name for name, no in unsaid.items() if no], errors="ignore")
