"""Every command that changes something leaves an act in the record, under the name of who ran it."""

import pytest
from desk import commands, words_for

from newsletter.demo.mailserver import MailServer

READS = {
    *("api-clients list", "articles list", "articles show", "audit", "deliveries list", "deliveries show"),
    *("dkim record", "doctor", "editions check", "editions diff", "editions list", "editions preview"),
    *(
        "editions show",
        "editions status",
        "editions timeline",
        "explain",
        "feeds followers",
        "feeds list",
        "feeds readers",
        "json-schema",
        "limits list",
    ),
    *("lists growth", "lists list", "lists show", "relays list", "sending status", "sources list", "sources show"),
    *("staff list", "subscribers list", "subscribers show", "topics list"),
}
"""Commands that change nothing; `subscribers export` of one person tells what `show` does."""

RUNS = {"demo", "serve", "tick", "up", "worker"}
"""Processes: what they do is put on record by what they run, in the service's name."""

REBUILDS = {"feeds rebuild", "dkim keygen", "subscribers export"}
"""Commands that write a file for who asks, or the same documents anew; nothing that anybody decided is changed."""

ELSEWHERE = {"db acknowledge-restore"}
"""Needs a restored database: `test_restores` looks for its act."""

DAY: tuple[tuple[str, str, str], ...] = (
    ("db upgrade", "", "upgraded database"),
    ("topics load", "{topics}", "loaded topics"),
    ("lists add", "weekly --title Week --from news@example.org --since 2024-01-01T00:00:00+06:00", "added list weekly"),
    ("lists set", "weekly --canary none", "set the canary of list weekly"),
    ("lists pause", "weekly --reason drill", "paused list weekly"),
    ("lists resume", "weekly", "resumed list weekly"),
    ("articles import", "{articles} --source press", "imported articles"),
    ("articles retag", "{uid} --add water", "retagged article"),
    ("articles withdraw", "{uid} --reason wrong", "withdrawn article"),
    ("articles publish", "{uid}", "published article"),
    ("subscribers import", "{readers} --list weekly {basis}", "imported subscribers of weekly"),
    ("subscribers add", "kim@readers.example --list weekly {basis}", "imported subscribers of weekly"),
    ("subscribers suppress", "kim@readers.example", "suppressed address"),
    ("subscribers release", "kim@readers.example", "released address"),
    ("subscribers erase", "kim@readers.example --yes", "erased subscriber"),
    ("sources add", "http://127.0.0.1:9/feed --kind story --name wire", "added source wire"),
    ("sources pause", "wire --reason drill", "paused source wire"),
    ("sources resume", "wire", "resumed source wire"),
    ("sources poll", "wire", "polled source wire"),
    ("sources remove", "wire", "removed source wire"),
    ("api-clients add", "cms", "added API client cms"),
    ("api-clients revoke", "cms", "revoked API client cms"),
    ("staff add", "aida@example.org", "added account"),
    ("staff role", "aida@example.org operator", "changed account"),
    ("staff reset", "aida@example.org", "reset account"),
    ("staff disable", "aida@example.org", "disabled account"),
    ("staff enable", "aida@example.org", "enabled account"),
    ("staff sign-out", "aida@example.org", "signed out account"),
    ("limits set", "gmail --rate 5", "limited provider gmail"),
    ("limits clear", "gmail", "freed limit gmail"),
    ("sending pause", "--reason drill", "stopped sending"),
    ("sending resume", "", "resumed sending"),
    ("feeds close", "{feed}", "closed feed"),
    ("feeds open", "{feed}", "opened feed"),
    ("send", "weekly --draft --canary 1", "asked a canary of edition 1"),
    ("editions edit", "1 --pin 1", "edited edition 1"),
    ("editions test-send", "1 --to desk@example.org", "tested edition 1"),
    ("editions approve", "1 --yes", "approved edition 1"),
    ("editions pause", "1 --reason drill", "paused edition 1"),
    ("deliveries settle", "1 --accepted --why seen", "settled as accepted deliveries"),
    ("editions mend", "1 {uid}", "mended edition 1"),
    ("editions resume", "1", "resumed edition 1"),
    ("editions correct", "1 {uid} {letter} --draft", "composed edition 2"),
    ("editions resend", "1 --why mended --yes", "resent edition 1"),
    ("compose", "{letter} --list weekly --subject Hello --draft", "composed edition 3"),
    ("editions cancel", "3 --yes", "cancelled edition 3"),
    ("reports read", "{mails}", "read reports"),
    ("export", "{out}", "exported everything"),
)
"""A day on which every changing command is run once: what is typed, and what is on record of it afterwards."""


def test_every_command_is_known_to_change_something_or_nothing():
    """A new command has to be entered here: with the act that it leaves, or as one that only reads."""
    changing = {command for command, *_ in DAY}
    groups = (READS, RUNS, REBUILDS, ELSEWHERE, changing)

    assert set(commands()) == set().union(*groups)
    assert sum(map(len, groups)) == len(set().union(*groups)), "each stands in one group"


@pytest.mark.slow
def test_each_changing_command_leaves_an_act_under_the_name_of_who_ran_it(desk, monkeypatch):
    before = 0
    with MailServer() as server:
        for command, typed, act in DAY:
            if command == "editions test-send":
                monkeypatch.setenv("NEWSLETTER_SMTP_URL", server.url)
            if command == "feeds close":
                desk.run("feeds", "rebuild")
            if command == "deliveries settle":
                desk.doubt()
            if command == "editions resend":
                desk.fail()
            done = desk.run(*command.split(), *words_for(desk, typed))
            monkeypatch.delenv("NEWSLETTER_SMTP_URL", raising=False)
            acts = desk.facts("audit", "--limit", "1000")
            told = [f"{each['act']} {each['about']}" for each in acts[: len(acts) - before]]

            assert command == "sources poll" or 0 == done.exit_code, (command, done.output, done.exception)
            assert any(each.startswith(act) for each in told) or not act, (command, told)
            assert {"aida"} >= {each["actor"] for each in acts[: len(acts) - before]} - {"the service"}, command
            before = len(acts)
