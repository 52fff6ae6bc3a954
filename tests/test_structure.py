"""The house keeps its shape: imports go down, never up, never in a circle; no room is too large."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "ssgan_core"
COMMANDS = {
    "train", "train_digits", "pretrain", "predict", "compare", "labels", "probe", "sweep",
}  # fmt: skip
BELOW = {  # what a room may import, beside the ground floor and itself
    "plane": set(),
    "digits": set(),
    "pets": set(),
    "photos": {"pets"},
    "labeling": {"photos", "pets"},
    "ssgan": {"photos", "pets"},
    "dcgan": {"ssgan", "photos", "pets"},
    "bench": {"plane", "digits", "pets", "photos", "ssgan", "dcgan"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def module(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


def imports(path: Path) -> set[str]:
    """The package's modules that a file imports, and the roots of all others."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inside & set(map(module, FILES)) or {node.module}
    return found


def room(name: str) -> str:
    """The room of a module; "" for the ground floor, "command" for a command."""
    parts = name.split(".")
    if len(parts) > 1 and parts[1] in BELOW:
        return parts[1]
    return "command" if len(parts) > 1 and parts[1] in COMMANDS else ""


@pytest.mark.parametrize("path", FILES, ids=module)
def test_imports_go_down(path):
    here = room(module(path))
    allowed = BELOW.get(here, set()) | {"", here}
    for name in imports(path):
        root = name.split(".")[0]
        assert root not in ("notebooks", "book", "tests"), name
        if root == "ssgan_core" and here != "command":
            assert room(name) in allowed, f"{here or 'the ground floor'} imports {name}"


def test_no_circle():
    graph = {module(path): imports(path) for path in FILES}
    assert list(TopologicalSorter(graph).static_order())


def test_no_room_holds_more_than_a_third():
    lines = dict.fromkeys(["", "command", *BELOW], 0)
    for path in FILES:
        lines[room(module(path))] += len(path.read_text(encoding="utf-8").splitlines())
    for beside in ("pets", "bench"):
        del lines[beside]
    assert max(lines[name] for name in lines if name in BELOW) < sum(lines.values()) / 3, lines
