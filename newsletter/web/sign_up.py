"""Signing up: one short page that works without scripts, for a link with choices in it too, and a preview of them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from html import escape
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from newsletter.domain.addresses import AddressPolicy, suggestion
from newsletter.errors import InvalidError
from newsletter.mail.addresses import parse_address
from newsletter.mail.tokens import TokenPurpose, TokenSigner
from newsletter.rendering.pages import render_script
from newsletter.services.context import App
from newsletter.services.filters import NamedFilter
from newsletter.services.offers import Offer, list_offers
from newsletter.services.previews import preview_digest
from newsletter.services.sign_ups import SignUpRequest, Wish, refused_by_policy, subscribe
from newsletter.web import rates
from newsletter.web.articles import summarise
from newsletter.web.choices import cadence_options, kind_options, language_options, read_cadence, topic_options
from newsletter.web.visits import Visit, endpoint

TRAP = "website"
"""The field that people do not see; whoever fills it in is answered as everybody and nothing more."""

QUICKEST = timedelta(seconds=2)
"""Nobody reads and fills in the form faster; a program that does sees it once more."""
LONGEST = timedelta(days=1)
"""How long a form that was left open may still be sent at the first press."""


def routes(app: App) -> list[Route]:
    """Return the routes of signing up."""
    previews = rates.Rate(time.monotonic)
    view = endpoint(app, partial(_subscribe, previews), hides_time=True)
    return [
        Route("/subscribe", view, methods=["GET", "POST"], name="subscribe"),
        Route("/subscribe/preview", endpoint(app, partial(_preview_part, previews)), methods=["POST"], name="preview"),
        Route("/subscribe/embed", endpoint(app, _embed), name="embed"),
    ]


@dataclass(slots=True)
class _SignUpForm:
    """What a visitor has filled in so far, by link or by form, and what is wrong with it.

    *suggested* is the address that was probably meant; *is_held*: nothing is wrong, but one more press is needed.
    """

    address: str = ""
    lists: Sequence[str] = ()
    cadences: dict[str, str] = field(default_factory=dict)
    topics: Sequence[str] = ()
    kinds: Sequence[str] = ()
    language: str = ""
    errors: dict[str, str] = field(default_factory=dict)
    suggested: str = ""
    is_held: bool = False

    @property
    def filter(self) -> NamedFilter:
        """The choice of articles."""
        return NamedFilter(topics=tuple(self.topics), kinds=tuple(self.kinds))


def _subscribe(previews: rates.Rate, visit: Visit) -> Response:
    offers = list_offers(visit.app)
    form = _read_form(visit, offers)
    if not visit.is_post:
        return _show(visit, offers, form)
    if visit.value("preview"):
        previews.demand(visit.household, rates.MOST_PREVIEWS)
        return _show(visit, offers, form, previews=True)
    if visit.value(TRAP):
        return _answer(visit)
    _check(visit, form)
    if form.errors:
        return _show(visit, offers, form, status=422)
    if form.suggested or form.is_held:
        return _show(visit, offers, form)
    request = SignUpRequest(
        address=form.address,
        wishes=[Wish(slug, read_cadence(form.cadences.get(slug, ""))) for slug in form.lists],
        language=form.language,
        filter=form.filter,
        basis=_wording(visit),
        evidence=visit.evidence,
        network=visit.household,
    )
    subscribe(visit.app, request)
    return _answer(visit)


def _preview_part(previews: rates.Rate, visit: Visit) -> Response:
    """Return the preview alone, for the script that keeps it in step with the form."""
    previews.demand(visit.household, rates.MOST_PREVIEWS)
    form = _read_form(visit, list_offers(visit.app))
    return visit.page("preview_part", preview=_preview(visit, form))


def _embed(visit: Visit) -> Response:
    """Show a link and a form for other sites, with the choices of this page's own address in them."""
    form = _read_form(visit, list_offers(visit.app))
    chosen = [
        *(("list", slug) for slug in form.lists),
        *((f"cadence-{slug}", cadence) for slug, cadence in form.cadences.items() if cadence and slug in form.lists),
        *(("topic", slug) for slug in form.topics),
        *(("kind", kind) for kind in form.kinds),
        ("lang", visit.language.code),
    ]
    _ = visit.language.gettext
    action = f"{visit.app.settings.base_url}/subscribe"
    hidden = [f'  <input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in chosen]
    snippet = "\n".join(
        [
            f'<form method="post" action="{escape(action)}?lang={visit.language.code}">',
            *(line for line in hidden if 'name="lang"' not in line),
            f"  <label>{escape(_('Your e-mail address'))}",
            '    <input type="email" name="address" autocomplete="email" required></label>',
            f"  <button>{escape(_('Subscribe'))}</button>",
            "</form>",
        ]
    )
    return visit.page("embed", address=f"{action}?{urlencode(chosen)}", snippet=snippet)


def _read_form(visit: Visit, offers: Sequence[Offer]) -> _SignUpForm:
    """Read the form, or a link's presets; what is not on offer is left out, as a page may be older than the offer."""
    query = visit.request.query_params
    slugs = [offer.mailing_list.slug for offer in offers]
    topics = {topic.slug for offer in offers for topic in offer.topics}
    kinds = {str(kind) for offer in offers for kind in offer.kinds}
    wanted: Callable[[str], Sequence[str]] = (
        visit.values if visit.is_post else lambda name: tuple(dict.fromkeys(query.getlist(name)))
    )
    language = "".join(wanted("language")[:1])
    return _SignUpForm(
        address=visit.value("address").strip(),
        lists=[slug for slug in slugs if slug in wanted("list") or len(slugs) == 1],
        cadences={slug: "".join(wanted(f"cadence-{slug}")[:1]) for slug in slugs},
        topics=[slug for slug in wanted("topic") if slug in topics],
        kinds=[kind for kind in wanted("kind") if kind in kinds],
        language=language if language in visit.app.settings.languages else visit.language.code,
    )


def _check(visit: Visit, form: _SignUpForm) -> None:
    _ = visit.language.gettext
    if not form.lists:
        form.errors["list"] = _("Choose at least one newsletter.")
    try:
        address = parse_address(form.address)
    except InvalidError:
        form.errors["address"] = _("Enter your e-mail address, such as name@example.org.")
        return
    refused = refused_by_policy(visit.app.settings, address)
    if refused is AddressPolicy.DOMAIN:
        form.errors["address"] = _("Mailboxes of that provider do not last. Enter an address that you keep.")
    elif refused is AddressPolicy.ROLE:
        form.errors["address"] = _("Several people may read that mailbox. Enter an address of your own.")
    meant = suggestion(form.address)
    if meant and visit.value("as-typed") != form.address:
        form.suggested = meant
    form.is_held = not _was_read(visit)


def _was_read(visit: Visit) -> bool:
    """Say whether the form was shown by us, long enough ago to be read, and not too long.

    What comes from another site, or from a program that only posts, is shown once more: its sender looks at what they
    ask for, and presses a button of ours.
    """
    shown_at = _signer(visit).read(TokenPurpose.FORM, visit.value("stamp"))
    if shown_at is None or visit.is_foreign:  # anybody can fetch a stamp of ours and put it into a form of theirs
        return False
    age = visit.app.clock().timestamp() - int(shown_at)
    return QUICKEST.total_seconds() <= age <= LONGEST.total_seconds()


def _show(
    visit: Visit, offers: Sequence[Offer], form: _SignUpForm, *, status: int = 200, previews: bool = False
) -> Response:
    topics = {topic.id: topic for offer in offers for topic in offer.topics}
    kinds = {kind: kind for offer in offers for kind in offer.kinds}
    return visit.page(
        "subscribe",
        status=status,
        form=form,
        offers=[
            {
                "list": offer.mailing_list,
                "cadences": cadence_options(offer.mailing_list.cadences, visit.language),
            }
            for offer in offers
        ],
        topics=topic_options(topics.values(), visit.language),
        kinds=kind_options(kinds, visit.language) if len(kinds) > 1 else [],
        languages=language_options(visit.app.settings.languages, visit),
        wording=_wording(visit),
        trap=TRAP,
        stamp=_signer(visit).sign(TokenPurpose.FORM, str(int(visit.app.clock().timestamp()))),
        preview=_preview(visit, form) if previews else None,
        script=render_script("subscribe", visit.language, home=visit.app.settings.home),
        preview_url=visit.link("/subscribe/preview"),
    )


def _preview(visit: Visit, form: _SignUpForm) -> dict[str, object]:
    """Return the preview as its template shows it; without any list it asks for one."""
    if not form.lists:
        return {"articles": [], "more": 0, "is_last_week": False, "lacks_list": True}
    found = preview_digest(visit.app, form.lists, form.filter)
    shown = [summarise(visit, article) for article in found.articles]
    return {
        "articles": shown,
        "more": found.count - len(shown),
        "is_last_week": found.is_last_week,
        "lacks_list": False,
    }


def _answer(visit: Visit) -> Response:
    """Say the same to everybody, so that nobody learns who reads us."""
    return visit.page("subscribe_sent")


def _wording(visit: Visit) -> str:
    """Return the words that a visitor agrees to by pressing the button; they go on record as they were shown."""
    return visit.language.gettext(
        "%(newsroom)s may send the newsletters chosen here to this address. I can leave at any time with one click.",
        newsroom=visit.app.settings.name,
    )


def _signer(visit: Visit) -> TokenSigner:
    return TokenSigner(visit.app.settings.secret, visit.app.settings.retired_secrets)
