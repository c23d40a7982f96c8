"""Moving in: people keep their dates and their standing, and who was not mailed there is not mailed here."""

import io
import zipfile
from datetime import UTC, datetime

import pytest
from newsroom import Newsroom

from newsletter.domain.subscriptions import SubscriptionState
from newsletter.errors import InvalidError
from newsletter.ingest.foreign_subscribers import Standing, Tool, read_as, read_foreign_file
from newsletter.mail.addresses import address_hmac
from newsletter.services.subscriber_moves import look_over, move_in
from newsletter.storage.suppressions import load_suppression

BASIS = "agreed on our old site, whose records we keep"
# Times as Go writes them, which listmonk leaves it to.
LISTMONK = """\
uuid,email,name,attributes,status,created_at,updated_at
1,ann@readers.example,Ann,{},enabled,2021-05-01 10:00:00 +0000 UTC,2022-01-01 00:00:00.123456 +0000 UTC
2,bek@readers.example,"Bek, B.",{},disabled,2021-06-01 10:00:00 +0000 +0000,2023-02-03 06:05:06.1234567 +0200 EET
3,cat@readers.example,Cat,{},blocklisted,2021-07-01 10:00:00 +0000 UTC,2023-02-03 04:05:06 +0000 UTC
"""
MAILCHIMP = """\
"Email Address","First Name","MEMBER_RATING","OPTIN_TIME","CONFIRM_TIME","UNSUB_TIME","CLEAN_TIME","LEID"
ann@readers.example,Ann,2,"2020-01-01 09:00:00","2020-01-02 09:00:00",,,1
bek@readers.example,Bek,2,,"2020-01-03 09:00:00","2022-05-05 10:00:00",,2
cat@readers.example,Cat,2,,"2020-01-03 09:00:00",,"2022-05-06 10:00:00",3
"""
MAILCHIMP_FILES = {
    "subscribed_email_audience_export_1.csv": """\
"Email Address","First Name",MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,CONFIRM_IP,LAST_CHANGED,LEID,EUID,NOTES,TAGS
ann@readers.example,Ann,2,"2020-01-01 09:00:00",,"2020-01-02 09:00:00",,"2020-01-02 09:00:00",1,a1,,"""
    '"""Osh"""\n',
    "unsubscribed_email_audience_export_1.csv": """\
"Email Address","First Name",MEMBER_RATING,OPTIN_TIME,CONFIRM_TIME,UNSUB_TIME,UNSUB_CAMPAIGN_TITLE,UNSUB_REASON,LEID
bek@readers.example,Bek,2,,"2020-01-03 09:00:00","2022-05-05 10:00:00",May,NORMAL,2
""",
    "cleaned_email_audience_export_1.csv": """\
"Email Address","First Name",MEMBER_RATING,OPTIN_TIME,CONFIRM_TIME,CLEAN_TIME,CLEAN_CAMPAIGN_TITLE,LEID,EUID
cat@readers.example,Cat,2,,"2020-01-03 09:00:00","2022-05-06 10:00:00",May,3,a3
""",
    "nonsubscribed_email_audience_export_1.csv": """\
"Email Address","First Name",MEMBER_RATING,OPTIN_TIME,CONFIRM_TIME,LAST_CHANGED,LEID,EUID
dan@readers.example,Dan,1,,,"2022-05-06 10:00:00",4,a4
""",
}
MAILMAN = "bek@readers.example\nAnn <ann@readers.example>\n"


def zipped(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()


def standings(text: str) -> dict[str, Standing]:
    found = read_foreign_file(text.encode(), name="export")
    assert found is not None
    return {line.address.partition("@")[0]: line.standing for line in found.lines}


@pytest.mark.parametrize(
    ("text", "tool", "expected"),
    [
        (LISTMONK, Tool.LISTMONK, {"ann": Standing.ACTIVE, "bek": Standing.LEFT, "cat": Standing.BLOCKED}),
        (MAILCHIMP, Tool.MAILCHIMP, {"ann": Standing.ACTIVE, "bek": Standing.LEFT, "cat": Standing.BOUNCED}),
        (MAILMAN, Tool.MAILMAN, {"ann": Standing.ACTIVE, "bek": Standing.ACTIVE}),
    ],
    ids=["listmonk", "mailchimp", "mailman"],
)
def test_an_export_is_known_by_how_it_is_written(text, tool, expected):
    found = read_foreign_file(text.encode(), name="export")

    assert found is not None
    assert (tool, expected) == (found.tool, standings(text))


@pytest.mark.parametrize("text", ["address,language\nann@readers.example,en\n", "ann@readers.example\n", "a,b\n1,2\n"])
def test_a_file_of_our_own_is_none_of_theirs(text):
    assert read_foreign_file(text.encode(), name="readers.csv") is None


def test_a_status_that_nobody_knows_is_not_guessed():
    with pytest.raises(InvalidError, match="line 2: 'odd' is no status"):
        read_foreign_file(LISTMONK.replace("enabled", "odd").encode(), name="export.csv")
    with pytest.raises(InvalidError, match="line 2: not a member"):
        read_foreign_file(b"Ann <ann@readers.example>\nwhat is this\n", name="roster")


def test_an_unconfirmed_subscription_is_not_brought_in(newsroom):
    text = LISTMONK.replace("updated_at\n", "updated_at,subscription_status\n").replace(
        "2022-01-01 00:00:00.123456 +0000 UTC", "2022-01-01 00:00:00.123456 +0000 UTC,unconfirmed"
    )
    found = read_foreign_file(text.encode(), name="export.csv")
    assert found is not None
    report = move_in(newsroom.app, "weekly", found, name="export.csv", basis=BASIS)

    assert (0, 1) == (report.added, report.standings["waiting"])


@pytest.mark.parametrize("text", [LISTMONK, MAILCHIMP], ids=["listmonk", "mailchimp"])
def test_people_stand_here_as_they_stood_there(newsroom, text):
    found = read_foreign_file(text.encode(), name="export.csv")
    assert found is not None
    looked = look_over(found)
    assert (0, 0, 0) == (looked.added, looked.left, looked.suppressed), "looking changes nothing"
    report = move_in(newsroom.app, "weekly", found, name="export.csv", basis=BASIS)

    assert (1, 1, 1, []) == (report.added, report.left, report.suppressed, report.refusals)
    ann, bek = newsroom.subscription("ann"), newsroom.subscription("bek")
    assert (SubscriptionState.CONFIRMED, SubscriptionState.ENDED) == (ann.state, bek.state)
    assert found.lines[0].since == ann.confirmed_at
    assert found.lines[1].ended_at == bek.ended_at
    assert suppressed(newsroom, "cat") == found.lines[2].ended_at
    with pytest.raises(Exception, match="left this list"):
        newsroom.subscribe("bek")


def test_mailchimps_zip_is_one_export_and_who_never_agreed_is_not_brought_in(newsroom):
    found = read_foreign_file(zipped(MAILCHIMP_FILES), name="audience_export.zip")
    assert found is not None
    report = move_in(newsroom.app, "weekly", found, name="audience_export.zip", basis=BASIS)

    assert {"active": 1, "left": 1, "bounced": 1, "waiting": 1} == report.standings
    assert (1, 1, 1, []) == (report.added, report.left, report.suppressed, report.refusals)
    assert datetime(2020, 1, 2, 9, tzinfo=UTC) == newsroom.subscription("ann").confirmed_at


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({**MAILCHIMP_FILES, "notes.csv": "a,b\n1,2\n"}, "no knowing what notes.csv is"),
        ({**MAILCHIMP_FILES, "listmonk.csv": LISTMONK}, "no export of one tool"),
        ({"readme.txt": "nothing"}, "no export of one tool"),
    ],
    ids=["unknown", "two tools", "empty"],
)
def test_a_zip_of_something_else_is_not_guessed(files, problem):
    with pytest.raises(InvalidError, match=problem):
        read_foreign_file(zipped(files), name="some.zip")


def test_one_of_mailchimps_files_says_by_its_columns_who_left():
    """Not by the time alone, which may be missing; and the column of addresses may have another name."""
    text = MAILCHIMP_FILES["unsubscribed_email_audience_export_1.csv"]
    text = text.replace('"2022-05-05 10:00:00"', "").replace('"Email Address"', '"Почта"')

    assert {"bek": Standing.LEFT} == standings(text)


def test_a_spreadsheet_between_changes_nobodys_standing():
    """It saves semicolons where commas were; read as a plain file, people who left would be subscribed."""
    text = MAILCHIMP_FILES["unsubscribed_email_audience_export_1.csv"].replace(",", ";")

    assert {"bek": Standing.LEFT} == standings(text)


@pytest.mark.parametrize(
    "text",
    [
        "ann@readers.example\n",
        "address;language\nann@readers.example;ru\n",
        LISTMONK.replace(",disabled,", ",enabled,"),
    ],
)
def test_a_file_of_people_who_left_keeps_them_out_whatever_it_says(newsroom, text):
    gone = read_as(text.encode(), name="gone.csv", standing=Standing.LEFT)
    move_in(newsroom.app, "weekly", gone, name="gone.csv", basis="left our old list, whose records we keep")
    found = read_foreign_file(LISTMONK.encode(), name="all.csv")
    assert found is not None
    report = move_in(newsroom.app, "weekly", found, name="all.csv", basis=BASIS)

    assert SubscriptionState.ENDED is newsroom.subscription("ann").state
    assert (0, ["ann@readers.example"]) == (report.added, [each.address for each in report.refusals])


def test_a_worse_standing_that_a_file_tells_is_kept():
    found = read_as(LISTMONK.encode(), name="gone.csv", standing=Standing.LEFT)

    assert [Standing.LEFT, Standing.LEFT, Standing.BLOCKED] == [line.standing for line in found.lines]


def suppressed(newsroom: Newsroom, name: str) -> datetime | None:
    with newsroom.app.reading() as tx:
        hashed = address_hmac(tx.settings.secret, f"{name}@readers.example")
        found = load_suppression(tx.session, hashed)
    return found.created_at if found else None


def test_moving_in_twice_changes_nothing_and_who_came_back_stays(newsroom):
    newsroom.subscribe("bek")
    found = read_foreign_file(LISTMONK.encode(), name="export.csv")
    assert found is not None
    move_in(newsroom.app, "weekly", found, name="export.csv", basis=BASIS)
    again = move_in(newsroom.app, "weekly", found, name="export.csv", basis=BASIS)

    assert (0, 1, 0, 0) == (again.added, again.same, again.left, again.suppressed)
    assert SubscriptionState.CONFIRMED is newsroom.subscription("bek").state, "they signed up here themselves"
    assert datetime(2021, 5, 1, 10, tzinfo=UTC) == newsroom.subscription("ann").confirmed_at
