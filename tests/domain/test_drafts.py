"""What comes in makes a new article, a better one or none, and repeating it makes nothing."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from newsletter.domain import arrivals, article_edits, drafts, item_keys
from newsletter.domain.article_edits import LACKS_BODY, LACKS_DATE, LACKS_DECISION, LACKS_TITLE, StaffEdit
from newsletter.domain.articles import ArticleState, Kind, TopicMark, TopicOrigin
from newsletter.domain.drafts import Draft, DraftText, Paragraph, UnusableError
from newsletter.domain.stories import Likeness
from newsletter.domain.topics import Suggestion

NOW = datetime(2025, 10, 6, 2, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
BISHKEK = ZoneInfo("Asia/Bishkek")
BODY = ("The bridge over the river was opened this morning.", "It took two years to build.")


def text(*paragraphs: str, language="en", title="A bridge", **fields) -> DraftText:
    made = tuple(Paragraph(f"<p>{each}</p>", each) for each in paragraphs)
    return DraftText(language=language, title=title, paragraphs=made, **fields)


def draft(*texts: DraftText, published=date(2025, 10, 1), **fields) -> Draft:
    return Draft(kind=Kind.STORY, texts=texts or (text(*BODY),), published=published, **fields)


def admitted(new: Draft, now=NOW):
    return arrivals.admit(new, uid="u1", source="press", zone=BISHKEK, now=now)


class TestAdmitting:
    def test_what_lacks_nothing_is_published(self):
        record = admitted(draft())

        assert ArticleState.PUBLISHED is record.state
        assert () == record.lacks
        assert " ".join(BODY) == record.own_translation.summary

    def test_a_day_is_its_midnight_in_the_newsroom(self):
        assert datetime(2025, 9, 30, 18, tzinfo=UTC) == admitted(draft()).published_at

    def test_an_import_of_old_news_is_no_update_of_today(self):
        record = admitted(draft())

        assert record.published_at == record.updated_at

    @pytest.mark.parametrize(
        ("incomplete", "lacks"),
        [
            pytest.param(draft(text(*BODY, title="")), (LACKS_TITLE,), id="no title"),
            pytest.param(draft(published=None), (LACKS_DATE,), id="no date"),
            pytest.param(draft(text()), (LACKS_BODY,), id="no body"),
            pytest.param(draft(text(title=""), published=None), (LACKS_TITLE, LACKS_BODY, LACKS_DATE), id="nothing"),
        ],
    )
    def test_what_lacks_something_is_held_and_says_so(self, incomplete, lacks):
        record = admitted(incomplete)

        assert ArticleState.DRAFT is record.state
        assert lacks == record.lacks

    @pytest.mark.parametrize("fields", [{"url": "https://example.org/a"}, {"summary": "It is open."}])
    def test_a_link_or_a_summary_is_something_to_read(self, fields):
        assert ArticleState.PUBLISHED is admitted(draft(text(**fields))).state

    def test_a_date_within_a_year_waits_for_its_time(self):
        record = admitted(draft(published=NOW + timedelta(days=300)))

        assert ArticleState.PUBLISHED is record.state
        assert not record.is_public(NOW)
        assert record.is_public(NOW + timedelta(days=300))

    @pytest.mark.parametrize("field", ["published", "embargo_until"])
    def test_a_date_beyond_a_year_is_not_believed(self, field):
        record = admitted(replace(draft(), **{field: NOW + timedelta(days=400)}))

        assert ArticleState.DRAFT is record.state
        assert "more than a year ahead" in record.lacks[0]

    def test_an_embargo_holds_back_what_is_published(self):
        record = admitted(draft(embargo_until=LATER))

        assert LATER == record.visible_at
        assert not record.is_public(NOW)
        assert record.is_public(LATER)

    def test_an_item_without_title_and_body_is_refused(self):
        assert "neither a title nor a body" in (drafts.refusal(draft(text(title=""))) or "")
        assert drafts.refusal(draft(text(*BODY, title=""))) is None


class TestTidying:
    def test_drops_repeated_paragraphs_and_reports_it(self):
        long = "The council met on Monday and decided about the roads of the valley."
        tidied = drafts.tidy(draft(text(long, "In between.", long)))

        assert [long, "In between."] == [each.text for each in tidied.own.paragraphs]
        assert ("dropped 1 repeated paragraph",) == tidied.warnings

    def test_reports_letters_of_another_alphabet_and_changes_none(self):
        odd = text("Call 0554 и 0779 today.")
        tidied = drafts.tidy(draft(odd))

        assert odd == tidied.own
        assert "и (a Cyrillic word on its own)" in tidied.warnings[0]

    def test_says_which_language_it_means(self):
        tidied = drafts.tidy(draft(text(*BODY), text("Это cлово.", language="ru", title="Мост")))

        assert "(ru)" in tidied.warnings[0]

    def test_leaves_a_tidy_draft_alone(self):
        assert draft() == drafts.tidy(draft())


class TestKeys:
    def test_an_id_wins_over_an_address_over_the_content(self):
        page = text(*BODY, url="https://example.org/a")

        assert "id:7" == item_keys.item_key(draft(page, external_id="7"))
        assert "url:example.org/a" == item_keys.item_key(draft(page))
        assert item_keys.item_key(draft()).startswith("text:")

    def test_http_and_https_are_one_page(self):
        assert item_keys.url_key("http://example.org/a/") == item_keys.url_key("https://example.org/a")

    def test_a_changed_body_keeps_the_key_and_a_teaser_has_its_own(self):
        assert item_keys.item_key(draft()) == item_keys.item_key(draft(text("Another body.")))
        assert item_keys.item_key(draft()) != item_keys.item_key(draft(text()))

    def test_items_that_share_an_id_are_told_apart_whatever_their_order(self):
        one, other = draft(external_id="x"), draft(text(*BODY, title="B"), external_id="x")

        keys = item_keys.distinct_keys([one, other])

        assert 2 == len(set(keys))
        assert keys[::-1] == item_keys.distinct_keys([other, one])

    def test_items_that_share_all_but_the_body_are_told_apart_too(self):
        one, other = draft(), draft(text("Another body."))

        assert 2 == len(set(item_keys.distinct_keys([one, other])))
        assert 1 == len(set(item_keys.distinct_keys([one, one])))

    def test_the_same_item_twice_keeps_one_key(self):
        assert ["id:x", "id:x"] == item_keys.distinct_keys([draft(external_id="x"), draft(external_id="x")])

    def test_a_long_id_fits_the_column(self):
        assert len(item_keys.item_key(draft(external_id="x" * 5000))) <= item_keys.LONGEST_KEY


class TestUpdating:
    def update(self, record, new):
        return arrivals.update(record, new, zone=BISHKEK, now=LATER)

    def test_the_same_item_changes_nothing(self):
        record = admitted(draft())

        assert record == self.update(record, draft())

    def test_a_changed_body_changes_body_and_summary(self):
        changed = self.update(admitted(draft()), draft(text("It was closed again.")))

        assert "<p>It was closed again.</p>" == changed.own_translation.body_html
        assert "It was closed again." == changed.own_translation.summary
        assert LATER == changed.modified_at
        assert 1 == changed.revision

    def test_what_is_no_longer_said_stays(self):
        record = admitted(draft(text(*BODY, url="https://example.org/a"), image_url="https://example.org/i.png"))
        changed = self.update(record, draft(text(*BODY, title="A new title")))

        assert "A new title" == changed.title
        assert "https://example.org/a" == changed.own_translation.url
        assert "https://example.org/i.png" == changed.image_url

    def test_a_body_never_becomes_empty(self):
        record = admitted(draft())

        assert record == self.update(record, draft(text()))

    def test_the_date_of_what_is_public_stays(self):
        record = admitted(draft())

        assert record.published_at == self.update(record, draft(published=date(2025, 10, 3))).published_at

    def test_the_date_of_what_is_to_come_moves(self):
        record = admitted(draft(published=date(2025, 11, 1)))
        changed = self.update(record, draft(published=date(2025, 11, 5)))

        assert datetime(2025, 11, 4, 18, tzinfo=UTC) == changed.published_at == changed.updated_at

    def test_a_draft_that_gets_what_it_lacked_is_published(self):
        changed = self.update(admitted(draft(published=None)), draft())

        assert ArticleState.PUBLISHED is changed.state
        assert () == changed.lacks

    def test_a_withdrawn_article_stays_withdrawn(self):
        withdrawn = article_edits.withdraw(admitted(draft()), "an error", now=NOW)

        assert ArticleState.WITHDRAWN is self.update(withdrawn, draft(text("Corrected."))).state

    def test_a_draft_that_waits_for_a_decision_waits_on(self):
        held = replace(admitted(draft()), state=ArticleState.DRAFT, lacks=(LACKS_DECISION,))

        assert (LACKS_DECISION,) == self.update(held, draft(text("Corrected."))).lacks


class TestMerging:
    def merge(self, record, new, why=Likeness.TEASER):
        return arrivals.merge(record, new, why, zone=BISHKEK, now=LATER)

    def test_a_teaser_adds_nothing_to_its_article(self):
        record = admitted(draft())

        assert record == self.merge(record, draft(text(), published=date(2025, 9, 28)))

    def test_an_article_completes_the_teaser_that_came_first_and_gives_the_date(self):
        teaser = admitted(draft(text(), published=date(2025, 9, 28)))
        full = self.merge(teaser, draft())

        assert ArticleState.PUBLISHED is full.state
        assert datetime(2025, 9, 30, 18, tzinfo=UTC) == full.published_at
        assert " ".join(BODY) == full.own_translation.summary

    def test_readers_keep_the_date_that_they_saw(self):
        teaser = admitted(draft(text(url="https://example.org/a"), published=date(2025, 9, 28)))

        assert teaser.published_at == self.merge(teaser, draft()).published_at

    def test_the_first_title_stays_and_gaps_are_filled(self):
        record = admitted(draft(published=None))
        other = draft(text(*BODY, title="THE BRIDGE by us", url="https://example.org/a"), image_url="https://e.org/i")
        merged = self.merge(record, other, Likeness.SAME_BODY)

        assert "A bridge" == merged.title
        assert "https://example.org/a" == merged.own_translation.url
        assert "https://e.org/i" == merged.image_url
        assert ArticleState.PUBLISHED is merged.state

    def test_the_longer_body_wins(self):
        record = admitted(draft(text(BODY[0])))
        merged = self.merge(record, draft(text(*BODY)), Likeness.SAME_BODY)

        assert BODY[1] in merged.own_translation.body_html
        assert merged == self.merge(merged, draft(text(BODY[0])), Likeness.SAME_BODY)

    def test_another_language_of_the_other_telling_is_taken(self):
        merged = self.merge(admitted(draft()), draft(text(*BODY), text("Мост.", language="ru", title="Мост")))

        assert {"en", "ru"} == set(merged.translations)


def test_a_translation_leaves_the_articles_own_facts_alone():
    record = admitted(draft())
    translated = arrivals.translate(
        record, draft(text("Мост открыт.", language="ru", title="Мост"), published=None), now=LATER
    )

    assert "Мост" == translated.translations["ru"].title
    assert record.published_at == translated.published_at
    assert record.own_translation == translated.own_translation


class TestTopics:
    def test_stated_ones_come_first_then_rules_and_suggestions(self):
        found = [Suggestion(2, "en", "x", applies=True), Suggestion(3, "en", "x", applies=False)]
        record = article_edits.with_topics(admitted(draft()), [1], found, now=LATER)

        assert (1, 2) == record.counting_topics
        assert (3,) == record.suggested_topics

    def test_what_staff_did_outlives_the_next_import(self):
        found = [Suggestion(2, "en", "x", applies=True)]
        record = article_edits.with_topics(admitted(draft()), [1], found, now=NOW)
        record = article_edits.retag(record, add=[5], remove=[2], now=NOW)
        again = article_edits.with_topics(record, [1], found, now=LATER)

        assert record == again
        assert (1, 5) == again.counting_topics

    def test_adding_a_suggestion_makes_it_count(self):
        suggested = [Suggestion(3, "en", "x", applies=False)]
        record = article_edits.with_topics(admitted(draft()), [], suggested, now=NOW)
        tagged = article_edits.retag(record, add=[3], remove=[], now=LATER)

        assert (TopicMark(3, TopicOrigin.STAFF),) == tagged.topics
        assert tagged == article_edits.retag(tagged, add=[3], remove=[], now=LATER + timedelta(1))


class TestPublishing:
    def test_a_draft_that_lacks_something_stays_one(self):
        held = article_edits.publish(admitted(draft(text(*BODY, title=""))), major=False, now=LATER)

        assert ArticleState.DRAFT is held.state
        assert (LACKS_TITLE,) == held.lacks

    def test_an_edit_gives_what_was_lacking(self):
        held = admitted(draft(text(*BODY, title="")))
        given = article_edits.edit(held, StaffEdit(title="A bridge"), zone=BISHKEK, now=LATER)

        assert ArticleState.PUBLISHED is article_edits.publish(given, major=False, now=LATER).state

    def test_without_a_date_it_is_published_now(self):
        assert LATER == article_edits.publish(admitted(draft(published=None)), major=False, now=LATER).published_at

    def test_publishing_again_changes_nothing(self):
        record = admitted(draft())

        assert record == article_edits.publish(record, major=False, now=LATER)

    def test_a_major_change_is_a_new_revision(self):
        record = article_edits.publish(admitted(draft()), major=True, now=LATER)

        assert 2 == record.revision
        assert LATER == record.updated_at

    def test_a_withdrawn_article_comes_back(self):
        withdrawn = article_edits.withdraw(admitted(draft()), "an error", now=NOW)
        back = article_edits.publish(withdrawn, major=False, now=LATER)

        assert ArticleState.PUBLISHED is back.state
        assert back.withdrawn_at is None

    def test_the_date_that_readers_saw_cannot_be_edited(self):
        with pytest.raises(UnusableError, match="readers have seen"):
            article_edits.edit(admitted(draft()), StaffEdit(published=date(2025, 1, 1)), zone=BISHKEK, now=NOW)

    def test_a_second_withdrawal_keeps_the_first_reason(self):
        once = article_edits.withdraw(admitted(draft()), "an error", now=NOW)

        assert once == article_edits.withdraw(once, "another", now=LATER)
