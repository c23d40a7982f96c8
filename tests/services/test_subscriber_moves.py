"""Moving in: people keep their dates and their standing, and who was not mailed there is not mailed here."""

import contextlib
import io
import tracemalloc
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from newsroom import Newsroom

from newsletter.domain.lists import Cadence
from newsletter.domain.subscriptions import EndReason, SubscriptionState
from newsletter.errors import InvalidError
from newsletter.ingest import foreign_subscribers
from newsletter.ingest.foreign_subscribers import ForeignFile, Standing, Tool, read_as, read_foreign_file
from newsletter.mail.addresses import address_hmac
from newsletter.services.choices import change_choice
from newsletter.services.filters import EVERY_ARTICLE
from newsletter.services.subscriber_moves import look_over, move_in
from newsletter.services.suppressions import lift_suppression
from newsletter.storage.subscriptions import end_subscription
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


def zipped(files: Mapping[str, str | bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", packing) as archive:
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


def test_who_left_there_leaves_here_too_if_only_a_file_had_brought_them(newsroom):
    """Imported in the wrong order, people who left would be mailed; who signed up here themselves stays."""
    both = LISTMONK.replace(",disabled,", ",enabled,")
    move_in(newsroom.app, "weekly", export_of(both), name="all.csv", basis=BASIS)
    newsroom.publish("A story")
    edition_id = newsroom.fan_out()
    change_choice(
        newsroom.app,
        newsroom.subscription("ann").uid,
        cadence=Cadence.WEEKLY,
        language="ru",
        wanted=EVERY_ARTICLE,
        evidence="page",
    )
    gone = read_as(both.encode(), name="gone.csv", standing=Standing.LEFT)
    report = move_in(newsroom.app, "weekly", gone, name="gone.csv", basis=BASIS)

    assert (1, 1) == (report.left, report.kept)
    assert SubscriptionState.CONFIRMED is newsroom.subscription("ann").state
    assert SubscriptionState.ENDED is newsroom.subscription("bek").state
    assert "cancelled" == newsroom.states(edition_id)["bek"]
    again = move_in(newsroom.app, "weekly", export_of(both), name="all.csv", basis=BASIS)
    assert (0, 1) == (again.added, len(again.refusals))


def test_who_was_replaced_here_and_left_there_is_not_brought_back(newsroom):
    """An end that is no leaving does not hide that they left."""
    newsroom.subscribe("bek")
    end(newsroom, "bek", EndReason.NEVER_CONFIRMED)
    move_in(newsroom.app, "weekly", export_of(LISTMONK), name="export.csv", basis=BASIS)

    with pytest.raises(Exception, match="left this list"):
        newsroom.subscribe("bek")


def end(newsroom: Newsroom, name: str, reason: EndReason) -> None:
    with newsroom.app.transaction() as tx:
        end_subscription(tx.session, newsroom.subscription(name).id, reason, now=tx.now)


def test_who_was_released_here_is_not_suppressed_by_an_older_export(newsroom):
    """The address takes mail again, by its owner's word."""
    move_in(newsroom.app, "weekly", export_of(LISTMONK), name="export.csv", basis=BASIS)
    lift_suppression(newsroom.app, "cat@readers.example")
    again = move_in(newsroom.app, "weekly", export_of(LISTMONK), name="export.csv", basis=BASIS)

    assert (0, 1) == (again.suppressed, again.kept)
    assert suppressed(newsroom, "cat") is None
    newer = LISTMONK.replace("2023-02-03 04:05:06", "2126-02-03 04:05:06")
    assert 1 == move_in(newsroom.app, "weekly", export_of(newer), name="export.csv", basis=BASIS).suppressed


def export_of(text: str) -> ForeignFile:
    found = read_foreign_file(text.encode(), name="export.csv")
    assert found is not None
    return found


def test_a_row_that_breaks_off_is_of_its_file_still():
    """Spreadsheets leave out empty cells at the end: who left would be taken for active."""
    header, _ = MAILCHIMP_FILES["unsubscribed_email_audience_export_1.csv"].splitlines()

    assert {"bek": Standing.LEFT} == standings(f"{header}\nbek@readers.example,Bek\n")


def test_a_row_beyond_all_measure_is_named():
    with pytest.raises(InvalidError, match=r"export.csv cannot be read as CSV"):
        read_foreign_file(b"x" * 200_000, name="export.csv")
    with pytest.raises(InvalidError, match=r"export.csv, line \d+: it cannot be read as CSV"):
        read_foreign_file(LISTMONK.replace("{}", "x" * 200_000).encode(), name="export.csv")


def test_a_date_that_is_none_is_no_date():
    text = LISTMONK.replace("2021-05-01 10:00:00 +0000 UTC", "0001-01-01 00:00:00 +0600 +06")

    assert export_of(text).lines[0].since is None


def test_a_zip_is_unpacked_no_further_than_a_file_may_be_large(monkeypatch):
    """Whatever it says of itself: a bomb says that it is small."""
    monkeypatch.setattr(foreign_subscribers, "LARGEST_FILE", 10_000)
    packed = bytearray(zipped({"subscribed.csv": "x" * 5_000_000}))
    told, size = (5_000_000).to_bytes(4, "little"), (5_000).to_bytes(4, "little")
    assert 2 == packed.count(told)
    with pytest.raises(InvalidError, match="more than 10,000 bytes"):
        read_foreign_file(bytes(packed), name="some.zip")
    tracemalloc.start()
    try:
        with pytest.raises(InvalidError, match="cannot be unpacked"):
            read_foreign_file(bytes(packed.replace(told, size)), name="some.zip")
        assert 1_000_000 > tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"subscribed.csv": zipped(MAILCHIMP_FILES)}, "is no text file"),
        ({"subscribed.csv": b""}, "no export of one tool"),
    ],
    ids=["a ZIP in a ZIP", "empty"],
)
def test_what_a_zip_holds_is_text(files, problem):
    with pytest.raises(InvalidError, match=problem):
        read_foreign_file(zipped(files), name="some.zip")


def test_what_a_mac_puts_beside_files_is_left_out():
    files = MAILCHIMP_FILES | {f"__MACOSX/._{name}": "\0\5\26\7" for name in MAILCHIMP_FILES}
    found = read_foreign_file(zipped(files), name="some.zip")

    assert found is not None
    assert 4 == len(found.lines)


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_is_packed_oddly_or_broken_is_refused(packing):
    with pytest.raises(InvalidError, match="cannot be unpacked"):
        read_foreign_file(zipped(MAILCHIMP_FILES, packing), name="some.zip")
    packed = zipped(MAILCHIMP_FILES, zipfile.ZIP_DEFLATED)
    for place in range(40, len(packed) - 400, 23):
        broken = packed[:place] + b"\xff\xff" + packed[place + 2 :]
        with contextlib.suppress(InvalidError):
            read_foreign_file(broken, name="some.zip")
