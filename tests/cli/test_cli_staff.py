"""`newsletter staff`, `lists growth` and `feeds readers` by the command."""

import json

from typer.testing import CliRunner

from newsletter.cli.main import cli


def run(home, *arguments):
    found = CliRunner().invoke(cli, ["--home", str(home), *arguments])
    assert found.exit_code == 0, found.output
    return found.output


def test_an_account_is_made_listed_reset_and_disabled(tmp_path):
    shown = run(tmp_path, "staff", "add", "aida@example.org", "--role", "editor")
    reset = json.loads(run(tmp_path, "staff", "reset", "aida@example.org", "--json"))
    run(tmp_path, "staff", "role", "aida@example.org", "operator")
    run(tmp_path, "staff", "disable", "aida@example.org")
    [listed] = json.loads(run(tmp_path, "staff", "list", "--json"))

    assert "/console" in shown
    assert len(reset["password"]) >= 20
    assert reset["password"] not in shown
    assert ("aida@example.org", "operator") == (listed["email"], listed["role"])
    assert listed["disabled_at"] is not None
    assert "password" not in str(listed)


def test_what_the_consoles_pages_of_readers_show_is_a_command_too(tmp_path):
    assert [] == json.loads(run(tmp_path, "feeds", "readers", "--json"))
    assert [] == json.loads(run(tmp_path, "lists", "growth", "--json"))
