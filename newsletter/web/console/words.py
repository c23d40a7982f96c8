"""Words of the console for what the domain only names: states, roles, kinds of changes."""

from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.edition_edits import EditKind
from newsletter.domain.editions import EditionState
from newsletter.domain.staff import Role
from newsletter.rendering.languages import Language


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
