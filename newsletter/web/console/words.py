"""Words of the console for what the domain only names: states, roles, kinds of changes."""

from newsletter.domain.articles import ArticleState
from newsletter.domain.breakers import BreakerState
from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.edition_edits import EditKind
from newsletter.domain.editions import EditionState, SkipReason
from newsletter.domain.resends import Cause, Hindrance
from newsletter.domain.staff import Role
from newsletter.rendering.languages import Language
from newsletter.services.explaining import Why


def edition_state(language: Language, state: EditionState) -> str:
    """Name where an edition stands."""
    return {
        EditionState.PLANNED: language.gettext("being composed"),
        EditionState.REVIEW: language.gettext("waits for review"),
        EditionState.APPROVED: language.gettext("approved"),
        EditionState.SENDING: language.gettext("is being sent"),
        EditionState.PAUSED: language.gettext("paused"),
        EditionState.DONE: language.gettext("sent"),
        EditionState.SKIPPED: language.gettext("skipped"),
        EditionState.CANCELLED: language.gettext("cancelled"),
    }[state]


def delivery_state(language: Language, state: DeliveryState) -> str:
    """Name what became of a mail."""
    return {
        DeliveryState.QUEUED: language.gettext("waiting"),
        DeliveryState.LEASED: language.gettext("with a sender"),
        DeliveryState.SENDING: language.gettext("under way"),
        DeliveryState.ACCEPTED: language.gettext("accepted"),
        DeliveryState.IN_DOUBT: language.gettext("in doubt"),
        DeliveryState.FAILED: language.gettext("failed"),
        DeliveryState.SUPPRESSED: language.gettext("suppressed"),
        DeliveryState.CANCELLED: language.gettext("cancelled"),
        DeliveryState.EXPIRED: language.gettext("too late"),
    }[state]


def failure_cause(language: Language, cause: Cause) -> str:
    """Say why a mail failed."""
    return {
        Cause.REFUSED: language.gettext("refused"),
        Cause.POISON: language.gettext("its senders died of it"),
        Cause.UNMADE: language.gettext("could not be made into a mail"),
        Cause.GIVEN_UP: language.gettext("was in doubt and given up"),
    }[cause]


def resend_hindrance(language: Language, hindrance: Hindrance) -> str:
    """Say what keeps a failed mail from being sent again."""
    return {
        Hindrance.MAY_HAVE_COME: language.gettext("may have arrived"),
        Hindrance.FORGOTTEN: language.gettext("the address is erased"),
        Hindrance.SUPPRESSED: language.gettext("suppressed"),
        Hindrance.ENDED: language.gettext("the reader has left"),
        Hindrance.CHANGED: language.gettext("the reader has chosen anew"),
        Hindrance.PAUSED: language.gettext("the reader takes a break"),
        Hindrance.MOVED: language.gettext("the reader has another address"),
        Hindrance.WITHDRAWN: language.gettext("all in it was withdrawn"),
        Hindrance.CAME_OTHERWISE: language.gettext("another mail brought it"),
    }[hindrance]


def role_name(language: Language, role: Role) -> str:
    """Name a role."""
    return {Role.EDITOR: language.gettext("editor"), Role.OPERATOR: language.gettext("operator")}[role]


def edit_kind(language: Language, kind: EditKind) -> str:
    """Name what staff changed in an edition."""
    return {
        EditKind.INTRO: language.gettext("introduction"),
        EditKind.LEAD: language.gettext("made the lead"),
        EditKind.PIN: language.gettext("pinned"),
        EditKind.UNPIN: language.gettext("unpinned"),
        EditKind.DROP: language.gettext("dropped"),
        EditKind.POSTPONE: language.gettext("postponed"),
        EditKind.RESTORE: language.gettext("restored"),
        EditKind.ORDER: language.gettext("put in order"),
        EditKind.SUMMARY: language.gettext("summary"),
        EditKind.ADD: language.gettext("added"),
        EditKind.RESET: language.gettext("all changes undone"),
    }[kind]


def article_state(language: Language, state: ArticleState) -> str:
    """Name where an article stands."""
    return {
        ArticleState.DRAFT: language.gettext("draft"),
        ArticleState.PUBLISHED: language.gettext("published"),
        ArticleState.WITHDRAWN: language.gettext("withdrawn"),
    }[state]


def skip_reason(language: Language, reason: SkipReason) -> str:
    """Say why nothing of an edition was sent."""
    return {
        SkipReason.EMPTY: language.gettext("no news"),
        SkipReason.NO_READERS: language.gettext("no readers"),
        SkipReason.MISSED: language.gettext("its time had passed"),
    }[reason]


def relay_state(language: Language, state: BreakerState) -> str:
    """Name how a relay does."""
    return {
        BreakerState.CLOSED: language.gettext("works"),
        BreakerState.HALF_OPEN: language.gettext("is being tried with one mail"),
        BreakerState.OPEN: language.gettext("fails, and is left alone for a while"),
    }[state]


def why_told(language: Language, why: Why) -> str:
    """Say in a word why an article is, or is not, in a reader's mail."""
    return {
        Why.SHOWN: language.gettext("shown"),
        Why.COUNTED: language.gettext("counted among more"),
        Why.NOT_CHOSEN: language.gettext("not chosen"),
        Why.HAD: language.gettext("had it before"),
        Why.DROPPED: language.gettext("dropped"),
        Why.POSTPONED: language.gettext("postponed"),
        Why.WITHDRAWN: language.gettext("withdrawn"),
        Why.CAME_LATER: language.gettext("chosen only later"),
    }[why]


def exclusion_reason(language: Language, reason: str) -> str:
    """Say why a reader gets no mail of an edition."""
    known = {
        "nothing_chosen": language.gettext("nothing in it was chosen"),
        "suppressed": language.gettext("the address must not be mailed"),
        "paused": language.gettext("the reader takes a break"),
        "has_one_already": language.gettext("there is a mail to this person already"),
    }
    return known.get(reason, reason)
