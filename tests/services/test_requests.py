"""Requests that need a freshly mailed link: data, erasure, another address."""

import re

import pytest
from newsroom import DAY, Newsroom, read, text_of

from newsletter.domain.deliveries import Pool
from newsletter.domain.requests import ADDRESS_LIMIT, REQUEST_LIMIT, RequestKind
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.mail.tokens import TokenPurpose, TokenSigner
from newsletter.services.requests import (
    ask_for_address,
    ask_for_data,
    ask_for_erasure,
    fulfil,
    look_at_request,
    refuse,
)
from newsletter.services.subscribers import export_subscriber
from newsletter.services.suppressions import suppress_address

ASKS = [ask_for_data, ask_for_erasure, lambda app, uid: ask_for_address(app, uid, "new@readers.example")]


@pytest.fixture
def reader(mailing_newsroom: Newsroom) -> Newsroom:
    """A newsroom with one reader, aida, that really mails."""
    mailing_newsroom.subscribe("aida")
    return mailing_newsroom


def mailed(newsroom: Newsroom, name: str) -> list[bytes]:
    """Send what waits, and return all mails to a reader."""
    newsroom.send(Pool.TRANSACTIONAL)
    return newsroom.mails().get(name, [])


def uid_in(newsroom: Newsroom, mail: bytes, purpose: TokenPurpose = TokenPurpose.REQUEST) -> str:
    """Return what the link in a mail names."""
    found = re.search(rf"/{purpose}/([\w-]+)", text_of(mail))
    assert found is not None
    uid = TokenSigner(newsroom.app.settings.secret).read(purpose, found[1])
    assert uid is not None
    return uid


def test_all_that_is_kept_comes_by_a_link_that_works_once(reader):
    ask_for_data(reader.app, reader.subscription("aida").uid)
    [mail] = mailed(reader, "aida")
    uid = uid_in(reader, mail)
    done = fulfil(reader.app, uid, evidence="")

    assert RequestKind.DOWNLOAD is done.kind
    assert done.data is not None
    assert "aida@readers.example" == done.data.address
    with pytest.raises(ConflictError):
        fulfil(reader.app, uid, evidence="")


def test_who_asks_to_be_erased_is_erased_by_the_mailed_link_alone(reader):
    ask_for_erasure(reader.app, reader.subscription("aida").uid)
    before = export_subscriber(reader.app, "aida@readers.example").subscriptions[0].ended_at
    [mail] = mailed(reader, "aida")
    fulfil(reader.app, uid_in(reader, mail), evidence="")

    assert before is None
    with pytest.raises(NotFoundError):
        export_subscriber(reader.app, "aida@readers.example")


def test_another_address_is_asked_there_and_told_here(reader):
    uid = reader.subscription("aida").uid
    ask_for_address(reader.app, uid, "New@Readers.Example")
    [asked], [told] = mailed(reader, "New"), mailed(reader, "aida")
    fulfil(reader.app, uid_in(reader, asked), evidence="page")
    found = export_subscriber(reader.app, "new@readers.example")

    assert "New@Readers.Example" == found.address
    assert "moved" == found.subscriptions[0].consent[-1].act
    assert "new@readers.example" not in text_of(told).lower()
    assert "aida@readers.example" not in text_of(asked)
    with pytest.raises(NotFoundError):
        export_subscriber(reader.app, "aida@readers.example")


def test_the_old_address_can_refuse(reader):
    ask_for_address(reader.app, reader.subscription("aida").uid, "new@readers.example")
    [told], [asked] = mailed(reader, "aida"), mailed(reader, "new")
    uid = uid_in(reader, told, TokenPurpose.REFUSAL)
    refuse(reader.app, uid)
    refuse(reader.app, uid)

    assert uid == uid_in(reader, asked)
    with pytest.raises(ConflictError):
        fulfil(reader.app, uid, evidence="")
    assert export_subscriber(reader.app, "aida@readers.example").address == "aida@readers.example"


@pytest.mark.parametrize("state", ["subscribed", "suppressed"])
def test_an_address_that_is_taken_or_must_not_be_mailed_looks_like_any_other(reader, state):
    if state == "subscribed":
        reader.subscribe("new")
    else:
        suppress_address(reader.app, "new@readers.example")
    for _ in range(2):
        ask_for_address(reader.app, reader.subscription("aida").uid, "new@readers.example")
    mails = mailed(reader, "new")

    assert ["You are subscribed already: The weekly"] * (state == "subscribed") == [
        read(each)["subject"] for each in mails
    ]


def test_an_address_that_became_somebodys_meanwhile_moves_nobody(reader):
    ask_for_address(reader.app, reader.subscription("aida").uid, "new@readers.example")
    [asked] = mailed(reader, "new")
    reader.subscribe("new")
    with pytest.raises(ConflictError):
        fulfil(reader.app, uid_in(reader, asked), evidence="")

    assert "aida@readers.example" == export_subscriber(reader.app, "aida@readers.example").address


@pytest.mark.parametrize("ask", ASKS)
def test_a_link_works_for_a_day(reader, ask):
    ask(reader.app, reader.subscription("aida").uid)
    mails = [*mailed(reader, "aida"), *mailed(reader, "new")]
    uid = uid_in(reader, next(mail for mail in mails if "/requests/" in text_of(mail)))
    looked = look_at_request(reader.app, uid)
    reader.move(DAY)

    assert uid == looked.uid
    with pytest.raises(ConflictError):
        fulfil(reader.app, uid, evidence="")


@pytest.mark.slow
def test_a_forwarded_link_cannot_flood_anybody(reader):
    """Whoever was forwarded a digest has its link; what it can have mailed is a handful a day."""
    _, most = REQUEST_LIMIT
    uid = reader.subscription("aida").uid
    for _ in range(most):
        ask_for_address(reader.app, uid, "victim@readers.example")
    with pytest.raises(ConflictError):
        ask_for_address(reader.app, uid, "victim@readers.example")
    with pytest.raises(ConflictError):
        ask_for_data(reader.app, uid)

    assert ADDRESS_LIMIT == len(mailed(reader, "victim"))


@pytest.mark.parametrize("address", ["", "no address", "a@mailinator.com", "postmaster@readers.example"])
def test_an_address_that_could_not_sign_up_is_refused(reader, address):
    with pytest.raises(InvalidError):
        ask_for_address(reader.app, reader.subscription("aida").uid, address)

    assert [] == mailed(reader, "aida")
