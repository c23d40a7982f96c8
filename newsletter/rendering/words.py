"""Words for what the domain only numbers: kinds of articles and cadences, in a reader's language."""

from newsletter.domain.articles import Kind
from newsletter.domain.lists import Cadence
from newsletter.rendering.languages import Language


def kind_name(language: Language, kind: Kind) -> str:
    """Name one article of *kind*: Press release."""
    return {
        Kind.PRESS_RELEASE: language.gettext("Press release"),
        Kind.STORY: language.gettext("Story"),
        Kind.SPEECH: language.gettext("Speech"),
        Kind.VIDEO: language.gettext("Video"),
        Kind.PUBLICATION: language.gettext("Publication"),
        Kind.EVENT: language.gettext("Event"),
    }[kind]


def kinds_name(language: Language, kind: Kind) -> str:
    """Name *kind* as a heading or a choice: Press releases."""
    return {
        Kind.PRESS_RELEASE: language.gettext("Press releases"),
        Kind.STORY: language.gettext("Stories"),
        Kind.SPEECH: language.gettext("Speeches"),
        Kind.VIDEO: language.gettext("Videos"),
        Kind.PUBLICATION: language.gettext("Publications"),
        Kind.EVENT: language.gettext("Events"),
    }[kind]


def invitation(language: Language, kind: Kind) -> str:
    """Say what the link to an article of *kind* leads to: Watch the video."""
    return {
        Kind.PRESS_RELEASE: language.gettext("Read the press release"),
        Kind.STORY: language.gettext("Read the story"),
        Kind.SPEECH: language.gettext("Read the speech"),
        Kind.VIDEO: language.gettext("Watch the video"),
        Kind.PUBLICATION: language.gettext("Read the publication"),
        Kind.EVENT: language.gettext("See the event"),
    }[kind]


def cadence_name(language: Language, cadence: Cadence) -> str:
    """Say how often: once a week."""
    return {
        Cadence.IMMEDIATE: language.gettext("as soon as something is published"),
        Cadence.DAILY: language.gettext("once a day"),
        Cadence.WEEKLY: language.gettext("once a week"),
        Cadence.MONTHLY: language.gettext("once a month"),
    }[cadence]


def others_name(language: Language) -> str:
    """Name the section of what stands under none of a list's topics."""
    return language.gettext("Also new")
