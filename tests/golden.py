"""What the package computes and says, frozen in tests/golden.json.

`python tests/golden.py` takes all of it anew, `python tests/golden.py helps keys` parts of it.

Numbers depend on the processor, so they are compared where it is the recorded one; what holds on
every machine (which terms, which outputs, which keys, the help texts) is compared everywhere.
"""

import contextlib
import hashlib
import importlib
import io
import json
import os
import re
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import nbformat

os.environ["OMP_NUM_THREADS"] = "1"  # here and in the chapters, as conftest.py has it
import torch

REPO = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPO), str(REPO / "tests")]
FILE = REPO / "tests/golden.json"
STEPS = 6

from book_root import chapter_names, run_smoke  # noqa: E402
from photo_tables import dark_and_bright  # noqa: E402

from ssgan_core import losses  # noqa: E402
from ssgan_core.dcgan import training as dcgan  # noqa: E402
from ssgan_core.device import Hardware  # noqa: E402
from ssgan_core.digits import step as digits_steps  # noqa: E402
from ssgan_core.digits import training as digits  # noqa: E402
from ssgan_core.digits.images import draw_labeled, load_digits  # noqa: E402
from ssgan_core.plane import training as plane  # noqa: E402
from ssgan_core.plane.points import draw_many, rings  # noqa: E402
from ssgan_core.plane.settings import METHODS  # noqa: E402
from ssgan_core.results import device_name  # noqa: E402
from ssgan_core.ssgan.fit import fit  # noqa: E402
from ssgan_core.ssgan.recipes import ALL  # noqa: E402

COMMANDS = (
    "ssgan_core.train",
    "ssgan_core.train_digits",
    "ssgan_core.predict",
    "ssgan_core.pretrain",
    "ssgan_core.compare",
    "ssgan_core.labels",
    "ssgan_core.probe",
    "ssgan_core.sweep",
    "ssgan_core.bench.__main__",
    "book.record",
)
# Of the pages on speed, names of texts whose words depend on what was the faster.
TIMED = re.compile("1[12]-.*(limit|noise|winner|fastest|goal)")
FP32 = Hardware(torch.device("cpu"), bf16=False)


def machine() -> str:
    """What numbers depend on: processor, threads, versions."""
    return f"{device_name()}, torch {torch.__version__}"


def fingerprint(*networks: torch.nn.Module | None) -> str:
    """Hash of all weights and buffers, by their order."""
    digest = hashlib.sha256()
    for network in networks:
        for value in network.state_dict().values() if network is not None else ():
            digest.update(value.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def on_plane() -> dict[str, dict]:
    data = rings(200)
    rows = draw_many(data.classes, 4, 2, seed=0, width=8)
    recipes = METHODS | {
        "all terms": replace(
            METHODS["complement"], labeled_start=0.0, entropy_weight=0.1, entropy_start=0.1,
            consistency_weight=0.1,
        )
    }  # fmt: skip
    found = {}
    for name, recipe in recipes.items():
        done = plane.train(data, rows, recipe, STEPS, [0, 1])
        accuracy = [round(value, 6) for value in done.accuracy.tolist()]
        found[f"plane: {name}"] = {
            "terms": {"accuracy": accuracy},
            "weights": fingerprint(done.classifier, done.generator),
        }
    return found


def on_digits() -> dict[str, dict]:
    data = load_digits()
    rows = torch.stack([draw_labeled(data.labels, 10, seed) for seed in (0, 1)])
    recipes = {name: digits_steps.Recipe(name, STEPS, batch=20) for name in digits_steps.METHODS}
    recipes["explicit"] = replace(recipes["feature_matching"], form=losses.EXPLICIT)
    found = {}
    for name, recipe in recipes.items():
        done = digits.train(
            data, rows, recipe, evaluations=1, hardware=FP32, report=lambda line: None
        )
        logits = hashlib.sha256(done.logits.contiguous().numpy().tobytes()).hexdigest()[:16]
        terms = {"accuracy": done.accuracy, "last": done.last_accuracy}
        found[f"digits: {name}"] = {"terms": terms, "weights": logits}
    return found


def on_dcgan() -> dict[str, dict]:
    images = dark_and_bright(32).images[:48]
    recipes = {
        "DCGAN": dcgan.Recipe(batch=8),
        "remedies": dcgan.Recipe(batch=8, augment=1.0, smoothing=0.1, r1=1.0),
    }
    found = {}
    for name, recipe in recipes.items():
        done = dcgan.train(recipe, images, STEPS, width=32, evaluations=2)
        terms = done.steps.iloc[-1].to_dict()
        found[f"dcgan: {name}"] = {"terms": terms, "weights": fingerprint(done.generator)}
    return found


def on_photos() -> dict[str, dict]:
    data = dark_and_bright(32)
    big = dark_and_bright(128, labeled=8, unlabeled=24, val=8, test=8)
    # A tenth of the rate: at the whole one, the leap to 128 px magnifies what rounding leaves.
    small = {"unlabeled_batch": 8, "labeled_batch": 8, "learning_rate": 6e-4}
    found = {}
    for name, recipe in ALL.items():
        found[f"photos: {name}"] = six_steps(recipe, data)
    for name in ("ssgan", "ssgan-minus-gan"):
        found[f"photos: {name}, 128 px"] = six_steps(replace(ALL[name], **small), big)
    return found


def six_steps(recipe, data) -> dict:
    """The means of the terms over two evaluations, the weights and what is tested."""
    done = fit(recipe, data, STEPS, width=8, generator_width=32, evaluations=2)
    history = done.history.drop(columns="seconds").iloc[-1].dropna()
    networks = (done.learner.classifier, done.learner.generator, done.model)
    return {"terms": history.to_dict() | done.test, "weights": fingerprint(*networks)}


def of_steps() -> dict[str, dict]:
    """Loss terms and a hash of the weights after six steps of every recipe, in fp32."""
    threads, detect = torch.get_num_threads(), Hardware.detect
    torch.set_num_threads(1)
    Hardware.detect = lambda: FP32
    try:
        return on_plane() | on_digits() | on_dcgan() | on_photos()
    finally:
        Hardware.detect = detect
        torch.set_num_threads(threads)


def printed(command: str, *words: str) -> str:
    """What a command prints, called in this process: importing PyTorch takes its time."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        importlib.import_module(command).main([*words])
    return out.getvalue()


def of_helps() -> dict[str, list[str]]:
    """The `--help` of every command, line by line."""
    os.environ["COLUMNS"] = "100"
    return {command: printed(command, "--help").splitlines() for command in COMMANDS}


def of_train() -> dict[str, list[str]]:
    """The keys of what the two commands that train write."""
    found = {}
    commands = {
        "ssgan_core.train": ["--recipe", "ssgan", "--pets", "200", "--size", "32", "--width", "8",
                             "--generator-width", "16", "--steps", "2", "--evaluations", "2",
                             "--labels", "20"],
        "ssgan_core.train_digits": ["--profile", "smoke"],
    }  # fmt: skip
    for command, options in commands.items():
        with tempfile.TemporaryDirectory() as folder:
            printed(command, *options, "--out", folder)
            for file in ("metrics.json", "history.json"):
                found[f"{command}: {file}"] = keys(json.loads(Path(folder, file).read_text()))
    return found


def keys(value, path="") -> list[str]:
    """The paths of all keys in nested dictionaries, sorted."""
    if not isinstance(value, dict):
        return [path]
    return sorted(key for name, item in value.items() for key in keys(item, f"{path}/{name}"))


def numbers(value, path="") -> dict[str, float | int | str | None]:
    """The leaves of nested dictionaries and lists, by their paths."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for name, item in pairs for k, v in numbers(item, f"{path}/{name}").items()}
    return {path: value}


def masked(text: str) -> str:
    """Text without what two runs may differ in: numbers, hashes, the device, white space."""
    if "aten::" in text:  # a profile's rows are in the order of their times
        return "PROFILE"
    processor = re.escape(device_name().rsplit(",", 1)[0])
    text = re.sub(rf"{processor}(?:, \d+ threads?)?", "DEVICE", text)
    text = re.sub(r"(?<!\.)\b(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b", "#", text)  # no decimals
    text = re.sub(r"[-+−]?\d[\d,.]*(?:e[-+]?\d+)?", "#", text)
    text = re.sub(r"µs \((PIL|torchvision|DALI)\)", "µs (DECODER)", text)
    text = re.sub(r"[#:]+ to go", "# to go", text)
    return " ".join(text.split())


def told(output) -> list[str]:
    """One output: what kind it is, then its text; of shown source the names alone."""
    if output.output_type == "stream":
        return [output.name, masked(output.text)]
    data, name = output.data, output.metadata.get("scrapbook", {}).get("name", "")
    kind = " ".join([*sorted(data), *([f"glue {name}"] if name else [])])
    if TIMED.match(name):
        return [kind, "TIMED"]
    text = next((data[key] for key in data if key.endswith("text/plain")), "")
    if "the next sentences say" in text:  # what is glued, word by word
        return [kind, "SAID"]
    if "text/markdown" in data:
        text = data["text/markdown"]
        if "```python" in text:
            return [f"{kind} source", *re.findall(r"^ *(?:def|class) (\w+)", text, re.M)]
    return [kind, "" if kind.startswith(("image", "text/plain image")) else masked(text)]


def merged(outputs: list[list[str]]) -> list[list[str]]:
    """Streams that follow one another as one: where they are cut is chance."""
    joined: list[list[str]] = []
    for output in outputs:
        if joined and output[0] == joined[-1][0] == "stdout":
            output = ["stdout", f"{joined.pop()[1]} {output[1]}".strip()]
        joined.append(output)
    return joined


def of_chapter(run: Path) -> dict:
    """Outputs of a chapter that `run_smoke` left, by cell, and what its metrics.json holds."""
    notebook = nbformat.read(run / "out.ipynb", as_version=4)
    cells = [
        merged([told(output) for output in cell.outputs])
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    metrics = json.loads((run / "metrics.json").read_text("utf-8"))
    return {"outputs": cells, "keys": keys(metrics), "values": numbers(metrics["values"])}


def taken_twice(name: str) -> dict:
    """A chapter, with those of its numbers on which two runs agree: timings are no results."""
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder, "once"), Path(folder, "again")
        for run in runs:
            run_smoke(name, run)
        once, again = map(of_chapter, runs)
    values = {k: v for k, v in once["values"].items() if again["values"].get(k, v) == v}
    return once | {"values": values}


TAKE = {
    "machine": machine,
    "steps": of_steps,
    "helps": of_helps,
    "keys": of_train,
    "chapters": lambda: {name: taken_twice(name) for name in chapter_names()},
}


if __name__ == "__main__":
    golden = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    for part in sys.argv[1:] or TAKE:
        print(part, flush=True)
        golden[part] = TAKE[part]()
    FILE.write_text(json.dumps(golden, indent=0, ensure_ascii=False) + "\n", "utf-8")
