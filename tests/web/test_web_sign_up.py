import pytest
from web_visitors import Browser, find, mails_to, stamp_of

from newsletter.domain.lists import Cadence
from newsletter.domain.subscriptions import Seen, SubscriptionState
from newsletter.services.confirmations import confirm, disown
from newsletter.services.lists import ListDraft, add_list, list_lists
from newsletter.services.subscribers import export_subscriber
from newsletter.services.subscriptions import unsubscribe
from newsletter.services.suppressions import suppress_address
from newsletter.storage.lists import load_filter

FORM = {"address": "aida@example.org", "list": "weekly"}


def test_the_form_offers_public_lists_with_their_cadences_topics_and_kinds(browser):
    page = browser.get("/subscribe")

    assert 200 == page.status_code
    for words in ("The week", "Events", "Once a day", "Once a week", "The city", "Schools", "Stories", "Кыргызча"):
        assert words in page.text
    assert "Staff only" not in page.text


def test_a_sign_up_is_stored_as_it_was_ticked(browser, newsroom):
    fields = {
        "address": " Aida@Example.org ",
        "list": ["weekly", "events"],
        "cadence-weekly": "weekly",
        "topic": ["schools", "rivers"],
        "kind": ["story"],
        "language": "ru",
    }
    page = browser.subscribe("/subscribe?lang=ru", **fields)
    events, weekly = find(newsroom, "aida@example.org")
    with newsroom.reading() as tx:
        choices = [load_filter(tx.session, each.filter_id) for each in (weekly, events)]

    assert 'lang="ru"' in page.text
    assert [SubscriptionState.UNCONFIRMED] * 2 == [weekly.state, events.state]
    assert (Cadence.WEEKLY, "ru") == (weekly.cadence, weekly.language)
    assert [("story",), ()] == [choice.kinds for choice in choices], "the second list has events only"
    assert 2 == len(choices[0].topics)
    assert 1 == len(mails_to(newsroom, "aida@example.org"))


def test_the_words_agreed_to_and_the_network_go_on_record(browser, newsroom):
    browser.subscribe("/subscribe?lang=ru", **FORM)
    [consent] = export_subscriber(newsroom, "aida@example.org").subscriptions[0].consent

    assert consent.basis in browser.get("/subscribe?lang=ru").text
    assert "Example Newsroom" in consent.basis
    assert Seen("https://news.example.org/subscribe", "ru", "192.0.2.0/24") == consent.evidence


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("198.51.100.77", "198.51.100.0/24"),
        ("2001:db8:aaaa:bbbb::1", "2001:db8:aaaa::/48"),
        ("::ffff:198.51.100.77", "198.51.100.0/24"),
        ("testclient", "unknown"),
    ],
)
def test_only_the_visitors_network_is_kept(newsroom, host, network):
    Browser(newsroom, host=host).subscribe(**FORM)
    [consent] = export_subscriber(newsroom, "aida@example.org").subscriptions[0].consent

    assert network == consent.evidence.network


@pytest.mark.slow
def test_every_address_gets_the_same_answer(browser, newsroom):
    """Nobody learns from the page who reads us: new, waiting, confirmed, left, suppressed and disowned look alike."""
    for address in ("waiting", "confirmed", "left", "disowned"):
        browser.subscribe(**{**FORM, "address": f"{address}@example.org"})
    confirm(newsroom, find(newsroom, "confirmed@example.org")[0].uid, evidence="")
    unsubscribe(newsroom, find(newsroom, "left@example.org")[0].uid, basis="button", evidence="")
    disown(newsroom, find(newsroom, "disowned@example.org")[0].uid)
    suppress_address(newsroom, "suppressed@example.org")
    names = ("new", "waiting", "confirmed", "left", "disowned", "suppressed")
    answers = {
        (page.status_code, page.text, tuple(page.headers.items()))
        for page in (browser.subscribe(**{**FORM, "address": f"{name}@example.org"}) for name in names)
    }

    assert 1 == len(answers)
    assert [] == find(newsroom, "suppressed@example.org")


@pytest.mark.slow
def test_ten_thousand_sign_ups_would_mail_no_more_than_ten(browser, newsroom):
    """Ten and ten thousand take the same path: the second one already finds the day's mail made."""
    for number in range(10):
        browser.subscribe(**{**FORM, "cadence-weekly": ("daily", "weekly")[number % 2]})

    assert 1 == len(mails_to(newsroom, "aida@example.org"))
    assert 1 == len(find(newsroom, "aida@example.org"))


def test_who_fills_in_the_trap_gets_the_usual_answer_and_nothing_else(browser, newsroom):
    trapped = browser.subscribe(**{**FORM, "website": "https://spam.example"})
    usual = browser.subscribe(**{**FORM, "address": "other@example.org"})

    assert usual.text == trapped.text
    assert [] == find(newsroom, "aida@example.org")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"address": ""}, "such as name@example.org"),
        ({"address": "aida"}, "such as name@example.org"),
        ({"address": "aida@example.org\r\nBcc: v@example.org"}, "such as name@example.org"),
        ({"address": "a" * 300 + "@example.org"}, "such as name@example.org"),
        ({"address": "a@exa\u202emple.org"}, "such as name@example.org"),
        ({"address": "postmaster@example.org"}, "such as name@example.org"),
        ({"list": []}, "Choose at least one newsletter"),
        ({"list": "no-such"}, "Choose at least one newsletter"),
        ({"list": "staff"}, "Choose at least one newsletter"),
    ],
)
def test_a_form_with_a_mistake_comes_back_with_what_was_filled_in(browser, newsroom, fields, words):
    page = browser.subscribe(**{**FORM, "topic": "rivers", **fields})

    assert 422 == page.status_code
    assert words in page.text
    assert 'value="rivers" checked' in page.text
    assert [] == find(newsroom, "aida@example.org")
    assert 0 == sum(each.unconfirmed for each in list_lists(newsroom))


def test_what_is_no_longer_on_offer_is_left_out(browser, newsroom):
    fields = {"topic": ["rivers", "gone"], "kind": "rumour", "language": "xx", "cadence-weekly": "hourly"}
    page = browser.subscribe(**{**FORM, **fields})
    [subscription] = find(newsroom, "aida@example.org")

    assert 200 == page.status_code
    assert (Cadence.DAILY, "en") == (subscription.cadence, subscription.language)


def test_a_link_presets_the_form(browser):
    page = browser.get("/subscribe?list=events&topic=schools&kind=event&lang=ru").text

    assert 'value="events" checked' in page
    assert 'value="schools" checked' in page
    assert 'value="ru" checked' in page
    assert 'value="weekly" checked' not in page


def test_what_a_visitor_typed_is_shown_as_text(browser):
    page = browser.subscribe(**{**FORM, "address": '"><script>alert(1)</script>'})

    assert "<script>alert" not in page.text
    assert "&lt;script&gt;" in page.text


def test_no_word_of_the_form_reaches_the_mail(browser, newsroom):
    browser.post(
        "/subscribe",
        data={
            **FORM,
            "stamp": stamp_of(newsroom),
            "address": "BUY-NOW@example.org",
            "topic": "rivers",
            "name": "Cheap pills",
        },
    )
    with newsroom.database.engine.connect() as connection:
        [(content,)] = connection.exec_driver_sql("SELECT content FROM delivery").all()

    assert "buy-now" not in str(content).lower()
    assert "Cheap" not in str(content)


@pytest.mark.parametrize("encoding", ["urlencoded", "multipart"])
def test_both_encodings_of_forms_are_read(browser, newsroom, encoding):
    if encoding == "urlencoded":
        browser.subscribe(**FORM)
    else:
        browser.post(
            "/subscribe", files={name: (None, value) for name, value in (FORM | {"stamp": stamp_of(newsroom)}).items()}
        )

    assert 1 == len(find(newsroom, "aida@example.org"))


def test_a_newsroom_without_lists_says_so(app):
    page = Browser(app).get("/subscribe")

    assert 200 == page.status_code
    assert "no newsletter yet" in page.text


def test_the_only_list_needs_no_tick(app):
    add_list(app, ListDraft(slug="weekly", titles={"en": "The week"}))
    Browser(app).subscribe(address="aida@example.org")

    assert 1 == len(find(app, "aida@example.org"))
