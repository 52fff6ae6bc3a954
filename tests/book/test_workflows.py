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


def full_book():
    return yaml.safe_load((REPO / ".github/workflows/full-book.yml").read_text())


def test_a_gpu_runner_runs_all_at_full_and_goes_on_after_a_break():
    workflow = full_book()
    inputs, job = workflow[True]["workflow_dispatch"]["inputs"], workflow["jobs"]["run"]
    assert inputs["profile"]["default"] == "full" and inputs["profile"]["options"] == [
        "full", "quick", "smoke",
    ]  # fmt: skip
    assert job["env"]["PROFILE"] == "${{ inputs.profile }}"
    assert '"gpu"' in job["runs-on"]
    assert job["steps"][0]["with"]["clean"] is False
    assert any(step.get("run") == "make book" for step in job["steps"])


def test_a_gpu_runner_is_checked_first_and_says_what_it_ran_even_where_it_failed():
    steps = full_book()["jobs"]["run"]["steps"]
    ran = [step.get("run", "") for step in steps]
    checked = next(i for i, line in enumerate(ran) if "book.runner check" in line)
    assert checked < ran.index("make book") and steps[checked]["timeout-minutes"] <= 2
    (summed,) = (step for step in steps if "GITHUB_STEP_SUMMARY" in step.get("run", ""))
    assert summed["if"] == "always()"


def test_only_a_full_run_whose_bands_hold_becomes_the_edition_and_a_person_takes_it_in():
    jobs = full_book()["jobs"]
    steps = jobs["run"]["steps"]
    (published,) = (step for step in steps if step.get("run") == "make publish")
    assert published["if"] == jobs["propose"]["if"] == "inputs.profile == 'full'"
    assert any("gh pr create" in step.get("run", "") for step in jobs["propose"]["steps"])
    assert jobs["run"]["permissions"] == {"contents": "read"}, "no GPU runner may push"


DIRECTIVES = {
    "job-name", "gres", "cpus-per-task", "mem", "time", "signal", "requeue", "open-mode", "output",
}  # fmt: skip


def test_the_job_of_a_cluster_is_a_shell_script_with_directives_of_sbatch_at_its_head():
    path = REPO / "book/full-book.sbatch"
    checked = run("bash", "-n", path)
    assert checked.returncode == 0, checked.stderr
    head, sep, body = path.read_text().partition("set -euo pipefail\n")
    lines = head.splitlines()
    assert sep and lines[0] == "#!/bin/bash", "sbatch reads directives up to the first command"
    assert all(line.startswith("#") for line in lines) and "#SBATCH" not in body
    given = dict(re.match(r"#SBATCH --([\w-]+)(?:=(\S+))?$", line).groups()
                 for line in lines if line.startswith("#SBATCH"))  # fmt: skip
    assert given.keys() == DIRECTIVES
    assert given["gres"] == "gpu:1" and re.fullmatch(r"\d\d:\d\d:\d\d", given["time"])
    assert body.index("book.runner check") < body.index("make book PROFILE=full")


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
