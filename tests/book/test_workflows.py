"""The workflows, checked without a network."""

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
