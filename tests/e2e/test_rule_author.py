"""A rule author's session, as README's policy chapter tells it, with the real commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
COMMAND = "shopctl --at localhost:8081 queue.list"


@pytest.fixture
def run(tmp_path):
    def run(program, *words):
        """(exit status, standard output, standard error) of a command in the author's folder."""
        done = subprocess.run(
            [BIN / program, *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return run


def edit(path, **lines):
    """Replace the line of each key, as a person with an editor does."""
    text = path.read_text().splitlines()
    for key, value in lines.items():
        (at,) = [n for n, line in enumerate(text) if line.startswith(f"{key} =")]
        text[at] = f"{key} = {value}"
    path.write_text("\n".join(text) + "\n")


def line_of(path, start):
    return next(
        n for n, line in enumerate(path.read_text().splitlines(), 1) if line.startswith(start)
    )


def test_a_rule_is_written_fails_its_example_is_mended_compared_and_loaded_as_a_site_layer(
    run, tmp_path
):
    # A command that the engine does not know, and a proposal for it.
    status, said, _ = run("sentinel", "check", COMMAND)
    assert (status, "no rule is about shopctl" in said) == (10, True)
    status, said, _ = run("sentinel", "policy", "new", COMMAND)
    assert status == 0
    site = tmp_path / "site.toml"
    site.write_text(said)
    assert run("sentinel", "check", COMMAND, "--policy", "site.toml")[0] == 0

    # Widened by hand, and too far: an example says so, with file, line, rule and reason.
    refused = '["shopctl --at localhost:8081 stop", "shopctl --at evil.example:8081 status"]'
    edit(site, changes="false", opts='"--at=host"', args="\"'queue.list'|'status'\"", no=refused)
    edit(site, why='"reads the list of jobs"')
    status, _, said = run("sentinel", "policy", "test", "site.toml")
    assert status == 2
    where = f"site.toml:{line_of(site, 'no =')}: rule site.shopctl: `no` example"
    assert where in said
    assert "'shopctl --at evil.example:8081 status' is allow" in said
    assert "correct the rule or the example" in said

    # A type that is misspelt, then the right one.
    edit(site, opts='"--at=lhos"')
    status, _, said = run("sentinel", "policy", "test", "site.toml")
    assert (
        f"site.toml:{line_of(site, 'opts =')}: rule site.shopctl: there is no type 'lhos'" in said
    )
    assert "did you mean `lhost`?" in said
    edit(site, opts='"--at=lhost"')
    status, said, _ = run("sentinel", "policy", "test", "site.toml")
    assert (status, "examples hold" in said) == (0, True)
    assert run("sentinel", "policy", "lint", "site.toml")[0] == 0

    # What it would change, over what people really typed.
    corpus = tmp_path / "history.txt"
    corpus.write_text(f"df -h\n{COMMAND}\nshopctl --at localhost:8081 stop\nrm -rf /\n")
    status, said, _ = run("sentinel", "policy", "diff", "site.toml", "--corpus", "history.txt")
    assert status == 1
    assert said.splitlines() == [
        f"wider  review -> allow  {COMMAND}  (site.shopctl)",
        "1 of 4 commands change their verdict",
    ]
    tighter = tmp_path / "tighter.toml"
    tighter.write_text(site.read_text().replace("changes =", 'disable = ["ro.df"]\nchanges ='))
    status, said, _ = run(
        "sentinel", "policy", "diff", "site.toml", "tighter.toml", "--corpus", "history.txt"
    )
    assert (status, said.splitlines()[0]) == (1, "tighter allow -> review  df -h  (unmatched)")

    # Named in the configuration it is part of the digest; a file that is wrong stops the start.
    digest = run("sentinel", "policy", "show", "site.toml")[1].strip()
    assert digest != run("sentinel", "policy", "show")[1].strip()
    settings = tmp_path / "agent.toml"
    settings.write_text(f'policy = ["{site}"]\ngroups = ["web"]\n')
    agent = ("sentinel-agent", "run", "--config", "agent.toml", "--state", str(tmp_path / "none"))
    status, _, said = run(*agent)
    assert (status, "is not enrolled" in said) == (2, True), said
    edit(site, opts='"--at=host"')
    status, _, said = run(*agent)
    assert (status, where in said) == (2, True), said
