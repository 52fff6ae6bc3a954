"""The workflows, checked without a network."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPO = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((REPO / ".github/workflows").glob("*.yml"))
BIN = Path(sys.executable).parent


def run(*command):
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)


def test_workflows_follow_the_schema():
    result = run(
        BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS
    )
    assert result.returncode == 0, result.stdout


def test_citation_follows_the_schema():
    result = run(
        BIN / "check-jsonschema", "--builtin-schema", "vendor.citation-file-format", "CITATION.cff"
    )
    assert result.returncode == 0, result.stdout


def test_workflows_have_no_known_weakness():
    result = run(BIN / "zizmor", "--offline", "--pedantic", ".github")
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_jobs_have_a_time_limit_and_only_the_rights_they_name(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"]
        assert job["permissions"]


def test_a_gpu_runner_runs_all_at_full_and_goes_on_after_a_break():
    job = yaml.safe_load((REPO / ".github/workflows/full-book.yml").read_text())["jobs"]["run"]
    assert "gpu" in job["runs-on"]
    assert job["steps"][0]["with"]["clean"] is False
    assert any("PROFILE=full" in step.get("run", "") for step in job["steps"])


def test_every_python_that_the_readme_names_is_tested():
    job = yaml.safe_load((REPO / ".github/workflows/tests.yml").read_text())["jobs"]["test"]
    first, last = re.search(
        r"Python 3\.(\d+) to 3\.(\d+)", (REPO / "README.md").read_text()
    ).groups()
    assert job["strategy"]["matrix"]["python"] == [
        f"3.{n}" for n in range(int(first), int(last) + 1)
    ]


def test_the_lock_file_is_audited_every_week():
    workflow = yaml.safe_load((REPO / ".github/workflows/audit.yml").read_text())
    assert workflow[True]["schedule"]  # YAML 1.1 reads `on` as true
    steps = workflow["jobs"]["audit"]["steps"]
    assert any(
        "pip-audit" in step.get("run", "") and "requirements.lock" in step["run"] for step in steps
    )


def test_outside_links_are_checked_every_week_and_open_no_gate():
    workflow = yaml.safe_load((REPO / ".github/workflows/links.yml").read_text())
    assert workflow[True].keys() == {"schedule", "workflow_dispatch"}
    steps = [step.get("run", "") for step in workflow["jobs"]["links"]["steps"]]
    assert any("--builder linkcheck" in step for step in steps)


def test_a_pull_request_gets_the_pages_to_look_at():
    workflow = yaml.safe_load((REPO / ".github/workflows/tests.yml").read_text())
    assert "pull_request" in workflow[True]
    kept = [step.get("with", {}).get("path") for step in workflow["jobs"]["test"]["steps"]]
    assert "_build/html" in kept


def test_nothing_of_ours_loads_code_or_hands_text_to_a_shell():
    """No pickle but torch's with `weights_only=True`, no eval or exec, no shell string."""
    forbidden = re.compile(
        r"read_pickle|to_pickle|pickle\.loads?\(|weights_only=False|(?<![\w.])(?:eval|exec)\(|"
        r"shell=True|os\.system|os\.popen|torch\.load\((?![^)]*weights_only=True)|allow_pickle=True"
    )
    files = [
        *REPO.glob("ssgan_core/**/*.py"),
        *REPO.glob("book/**/*.py"),
        *REPO.glob("notebooks/*.md"),
    ]
    found = {f"{path.name}: {match[0]}" for path in files
             for match in forbidden.finditer(path.read_text(encoding="utf-8"))}  # fmt: skip
    assert not found
