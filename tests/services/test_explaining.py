"""Explaining: for every article and reader there is one true reason."""

from dataclasses import replace

import pytest
from newsroom import DAY, Newsroom

from newsletter.domain.edition_edits import EditKind
from newsletter.errors import NotFoundError
from newsletter.services.articles import withdraw_article
from newsletter.services.edition_edits import Change, edit_edition
from newsletter.services.editions import approve_edition, fan_out_edition
from newsletter.services.explaining import Why, explain_edition, trace_article


@pytest.fixture
def reviewed(newsroom: Newsroom) -> Newsroom:
    newsroom.app = replace(newsroom.app, actor="aida")
    newsroom.add_topics("water", "health")
    newsroom.add_list("drafts", weekday=1, review_minutes=60)
    newsroom.publish("On water", topics=["water"])
    newsroom.publish("On health", topics=["health"])
    newsroom.publish("A video", kind="video")
    newsroom.subscribe("ann", slug="drafts")
    newsroom.subscribe("wes", slug="drafts", topics=("water",))
    newsroom.subscribe("sam", slug="drafts", kinds=("speech",))
    newsroom.move(DAY)
    return newsroom


def why(newsroom: Newsroom, name: str, edition_id: int) -> dict[str, tuple[Why, str]]:
    found = explain_edition(newsroom.app, f"{name}@readers.example", edition_id)
    return {each.title: (each.why, each.told) for each in found.articles}


@pytest.mark.slow
def test_every_article_has_its_reason(reviewed):
    edition_id = reviewed.compose("drafts")
    edit_edition(reviewed.app, edition_id, [Change(EditKind.DROP, "1", words="said twice")])
    dropped = {title for title, (reason, _) in why(reviewed, "ann", edition_id).items() if reason is Why.DROPPED}
    assert 1 == len(dropped)
    approve_edition(reviewed.app, edition_id, actor="a test")
    fan_out_edition(reviewed.app, edition_id)
    found = why(reviewed, "wes", edition_id)

    assert {(Why.NOT_CHOSEN, "not chosen: it is about no topic")} <= set(found.values())
    ann = explain_edition(reviewed.app, "ann@readers.example", edition_id)
    assert "queued" == ann.told
    assert {Why.SHOWN, Why.DROPPED} == {each.why for each in ann.articles}
    assert "taken out by staff: said twice" in {each.told for each in ann.articles}
    sam = explain_edition(reviewed.app, "sam@readers.example", edition_id)
    assert "they got none: nothing in it was for their choice" == sam.told
    assert ("speech",) == sam.choice.kinds


@pytest.mark.slow
def test_what_was_withdrawn_and_what_was_postponed_is_told(reviewed):
    edition_id = reviewed.compose("drafts")
    uid = next(each.uid for each in explain_edition(reviewed.app, "ann@readers.example", edition_id).articles)
    edit_edition(reviewed.app, edition_id, [Change(EditKind.POSTPONE, "2", words="next week")])
    withdraw_article(reviewed.app, uid, reason="it was wrong")
    found = {reason for reason, _ in why(reviewed, "ann", edition_id).values()}

    assert {Why.SHOWN, Why.POSTPONED, Why.WITHDRAWN} == found


def test_where_an_article_went_is_told_with_its_mails(reviewed):
    edition_id = reviewed.compose("drafts")
    approve_edition(reviewed.app, edition_id, actor="a test")
    fan_out_edition(reviewed.app, edition_id)
    uid = next(
        each.uid
        for each in explain_edition(reviewed.app, "wes@readers.example", edition_id).articles
        if each.why is Why.SHOWN
    )
    [place] = trace_article(reviewed.app, uid).editions

    assert (edition_id, "drafts", {"queued": 2}) == (place.edition_id, place.list_slug, place.mails)


def test_who_is_no_reader_of_it_is_told_so(reviewed):
    edition_id = reviewed.compose("drafts")
    reviewed.subscribe("other", slug="weekly")
    with pytest.raises(NotFoundError, match="does not read list 'drafts'"):
        explain_edition(reviewed.app, "other@readers.example", edition_id)
    with pytest.raises(NotFoundError, match="nobody subscribes"):
        explain_edition(reviewed.app, "nobody@readers.example", edition_id)
