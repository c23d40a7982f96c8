"""Tokens: only we make them, each for one purpose, and old ones are read for years."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.mail.tokens import TokenPurpose, TokenSigner

SECRET, OTHER = b"s" * 32, b"o" * 32
UID = "0b8e5f5e6d7c4a3fb1c2d3e4f5a6b7c8"
purposes = st.sampled_from(TokenPurpose)
uids = st.from_regex(r"[0-9a-f-]{1,36}", fullmatch=True)


@given(purposes, uids)
def test_a_token_names_its_uid_and_fits_a_path(purpose, uid):
    signer = TokenSigner(SECRET)
    token = signer.sign(purpose, uid)

    assert uid == signer.read(purpose, token)
    assert token == signer.sign(purpose, uid)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)


@given(purposes, purposes, uids)
def test_a_token_is_worth_nothing_for_another_purpose(purpose, other, uid):
    signer = TokenSigner(SECRET)

    assert signer.read(other, signer.sign(purpose, uid)) == (uid if other is purpose else None)


def test_no_single_changed_character_passes():
    signer = TokenSigner(SECRET)
    token = signer.sign(TokenPurpose.UNSUBSCRIBE, UID)
    forged = {
        token[:place] + letter + token[place + 1 :]
        for place in range(len(token))
        for letter in "AZaz09_-="
        if token[place] != letter
    }

    assert {None} == {signer.read(TokenPurpose.UNSUBSCRIBE, each) for each in forged}


@pytest.mark.parametrize(
    "spoil", [lambda t: t[:-1], lambda t: t[1:], lambda t: t + "A", lambda t: t + "=", lambda t: t[:20]]
)
def test_a_truncated_or_lengthened_token_is_refused(spoil):
    signer = TokenSigner(SECRET)
    for uid in (UID, UID[:-1], UID[:-2]):  # all three lengths of base64's last group
        token = signer.sign(TokenPurpose.CONFIRM, uid)

        assert signer.read(TokenPurpose.CONFIRM, spoil(token)) is None


@given(st.one_of(st.text(max_size=100), st.from_regex(r"[A-Za-z0-9_-]{1,300}", fullmatch=True)))
def test_any_text_at_all_is_read_without_an_error(text):
    assert TokenSigner(SECRET).read(TokenPurpose.CONFIRM, text) is None


@pytest.mark.parametrize("text", ["", "A", "A" * 5, "A" * 1000, "A" * 1_000_000, "жжжж"])
def test_what_is_no_token_is_refused(text):
    assert TokenSigner(SECRET).read(TokenPurpose.CONFIRM, text) is None


def test_a_token_of_another_installation_is_refused():
    token = TokenSigner(OTHER).sign(TokenPurpose.UNSUBSCRIBE, UID)

    assert TokenSigner(SECRET).read(TokenPurpose.UNSUBSCRIBE, token) is None


def test_a_retired_key_still_reads_but_no_longer_signs():
    old, new = TokenSigner(OTHER), TokenSigner(SECRET, retired=[OTHER])
    token = old.sign(TokenPurpose.UNSUBSCRIBE, UID)

    assert UID == new.read(TokenPurpose.UNSUBSCRIBE, token)
    assert token != new.sign(TokenPurpose.UNSUBSCRIBE, UID)
    assert old.read(TokenPurpose.UNSUBSCRIBE, new.sign(TokenPurpose.UNSUBSCRIBE, UID)) is None


def test_the_uid_is_all_that_a_token_tells():
    """Two readers' tokens share the key's id and nothing that could be an address."""
    signer = TokenSigner(SECRET)

    assert signer.sign(TokenPurpose.CONFIRM, UID)[:4] == signer.sign(TokenPurpose.UNSUBSCRIBE, UID)[:4]
    assert 68 == len(signer.sign(TokenPurpose.CONFIRM, UID))
