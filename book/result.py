"""The result in one picture, for the README: `python -m book.result` draws it from the records."""

from pathlib import Path

from ssgan_core.paths import project_root

RANDOM, CHOSEN = "cats-and-dogs", "cats-and-dogs-curated"
ROWS = {
    "supervised-augmented": "labels alone",
    "article": "the article's GAN",
    "ssgan-contrast-minus-gan": "unlabeled photos, no GAN",
    "ssgan-contrast": "the same with a GAN",
}
PICTURE = Path("book/_assets/result.svg")


def draw(path: Path) -> None:
    """Test accuracy of the recorded trainings, a row a method; an open dot is a hand-picked set."""
    import matplotlib.pyplot as plt

    from ssgan_core.intervals import format_ci
    from ssgan_core.plots import INK, accuracy_dots, use_style
    from ssgan_core.ssgan.study import recorded_runs

    use_style()
    shelf = project_root() / "book/recorded"
    runs, chosen = (recorded_runs(shelf / name, list(ROWS)) for name in (RANDOM, CHOSEN))
    figure = accuracy_dots(runs.assign(method=runs.method.map(ROWS)), line=1 / 2)
    (axes,) = figure.axes
    for row, (method, own) in enumerate(runs.groupby("method", sort=False)):
        picked = chosen["last"][chosen.method == method]
        axes.scatter(
            picked, [row] * len(picked), s=36, facecolors="white", edgecolors=INK, zorder=3
        )
        axes.annotate(format_ci(own["last"]), (1, row), (6, 0), xycoords=axes.get_yaxis_transform(),
                      textcoords="offset points", va="center", fontsize=10)  # fmt: skip
    axes.set_title("Cats and dogs, 100 labels, no pre-training", loc="left")
    with plt.rc_context({"svg.hashsalt": "result"}):
        figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)


if __name__ == "__main__":
    draw(project_root() / PICTURE)
