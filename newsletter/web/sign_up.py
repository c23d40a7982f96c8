"""The sign-up page: one short form, the same answer to every address, and no mail to machines that fill in all."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.responses import Response
from starlette.routing import Route

from newsletter.errors import InvalidError
from newsletter.mail.addresses import parse_address
from newsletter.services.context import App
from newsletter.services.filters import NamedFilter
from newsletter.services.offers import Offer, list_offers
from newsletter.services.subscriptions import SignUpRequest, Wish, subscribe
from newsletter.web.choices import cadence_options, kind_options, language_options, read_cadence, topic_options
from newsletter.web.visits import Visit, endpoint

TRAP = "website"
"""The field that people do not see; whoever fills it in gets the usual answer and nothing else."""


def routes(app: App) -> list[Route]:
    """Return the routes of the sign-up."""
    return [Route("/subscribe", endpoint(app, _subscribe), methods=["GET", "POST"], name="subscribe")]


@dataclass(slots=True)
class _SignUpForm:
    """What a visitor has filled in so far, by link or by form, and what is wrong with it."""

    address: str = ""
    lists: Sequence[str] = ()
    cadences: dict[str, str] = field(default_factory=dict)
    topics: Sequence[str] = ()
    kinds: Sequence[str] = ()
    language: str = ""
    errors: dict[str, str] = field(default_factory=dict)


def _subscribe(visit: Visit) -> Response:
    offers = list_offers(visit.app)
    form = _read_form(visit, offers)
    if not visit.is_post:
        return _show(visit, offers, form)
    if visit.value(TRAP):
        return _answer(visit)
    _check(visit, form)
    if form.errors:
        return _show(visit, offers, form, status=422)
    request = SignUpRequest(
        address=form.address,
        wishes=[Wish(slug, read_cadence(form.cadences.get(slug, ""))) for slug in form.lists],
        language=form.language,
        filter=NamedFilter(topics=tuple(form.topics), kinds=tuple(form.kinds)),
        basis=_wording(visit),
        evidence=visit.evidence,
    )
    subscribe(visit.app, request)
    return _answer(visit)


def _read_form(visit: Visit, offers: Sequence[Offer]) -> _SignUpForm:
    """Read the form, or a link's presets; what is not on offer is left out, as a page may be older than the offer."""
    query = visit.request.query_params
    slugs = [offer.mailing_list.slug for offer in offers]
    topics = {topic.slug for offer in offers for topic in offer.topics}
    kinds = {str(kind) for offer in offers for kind in offer.kinds}
    wanted = visit.values if visit.is_post else lambda name: tuple(dict.fromkeys(query.getlist(name)))
    language = visit.value("language")
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
        parse_address(form.address)
    except InvalidError:
        form.errors["address"] = _("Enter your e-mail address, such as name@example.org.")


def _show(visit: Visit, offers: Sequence[Offer], form: _SignUpForm, *, status: int = 200) -> Response:
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
    )


def _answer(visit: Visit) -> Response:
    """Say the same to everybody, so that nobody learns who reads us."""
    return visit.page("subscribe_sent")


def _wording(visit: Visit) -> str:
    """Return the words that a visitor agrees to by pressing the button; they go on record as they were shown."""
    return visit.language.gettext(
        "%(newsroom)s may send the newsletters chosen here to this address. I can leave at any time with one click.",
        newsroom=visit.app.settings.name,
    )
