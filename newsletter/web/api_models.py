"""What the API takes and gives: models that check requests, make answers, and are the OpenAPI document's schemas."""

from datetime import datetime
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from newsletter.domain.articles import ArticleState, Kind
from newsletter.ingest.dates import read_date, read_time
from newsletter.ingest.fields import (
    LARGEST_IMAGE,
    LONGEST_SUMMARY,
    LONGEST_TITLE,
    MOST_PARAGRAPHS,
    MOST_TOPICS,
)
from newsletter.ingest.markup import LONGEST_MARKUP, LONGEST_URL, safe_url
from newsletter.services.api import Submission
from newsletter.services.article_imports import ImportResult
from newsletter.services.articles import ArticleFacts

LONGEST_ID = 300
MOST_TRANSLATIONS = 30


def _address(url: str) -> str:
    if safe_url(url) is None:
        raise ValueError("must be an http or https address")
    return url


def _date(value: str) -> str:
    try:
        read_date(value, ZoneInfo("UTC"))
    except OverflowError as error:
        raise ValueError("cannot be right") from error
    return value


def _time(value: str) -> str:
    try:
        read_time(value, ZoneInfo("UTC"))
    except OverflowError as error:
        raise ValueError("cannot be right") from error
    return value


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("must be a time zone, such as Asia/Bishkek") from error


Url = Annotated[str, StringConstraints(max_length=LONGEST_URL), AfterValidator(_address)]
Title = Annotated[str, StringConstraints(max_length=LONGEST_TITLE)]
Summary = Annotated[str, StringConstraints(max_length=LONGEST_SUMMARY)]
Markup = Annotated[str, StringConstraints(max_length=LONGEST_MARKUP)]
Paragraphs = Annotated[list[Markup], Field(max_length=MOST_PARAGRAPHS)]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}$")]
Day = Annotated[str, StringConstraints(max_length=60), AfterValidator(_date)]
Time = Annotated[str, StringConstraints(max_length=60), AfterValidator(_time)]


class Strict(BaseModel):
    """A part of a request: what it does not know is an error, so that a misspelt field is noticed."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ImageIn(Strict):
    """The lead image."""

    url: Url
    alt: Summary | None = Field(default=None, description="what it shows, for those who do not see it")
    credit: Title | None = None
    width: Annotated[int, Field(ge=1, le=LARGEST_IMAGE)] | None = None
    height: Annotated[int, Field(ge=1, le=LARGEST_IMAGE)] | None = None


class EventIn(Strict):
    """When and where an event takes place; times without an offset are in its zone."""

    starts_at: Time
    ends_at: Time | None = None
    zone: Annotated[str, StringConstraints(max_length=60), AfterValidator(_zone)] | None = Field(
        default=None, description="such as Asia/Bishkek; else the newsroom's"
    )
    venue: Title | None = None
    address: Title | None = None
    contact: Title | None = None


class TextIn(Strict):
    """An article in one language; the body is one of paragraphs, html and markdown."""

    title: Title | None = None
    summary: Summary | None = Field(default=None, description="plain text; else the first sentences are taken")
    url: Url | None = Field(default=None, description="its page on the newsroom's own site")
    paragraphs: Paragraphs | None = Field(default=None, description="the body as plain texts")
    html: Markup | None = Field(default=None, description="the body as HTML, which is sanitised")
    markdown: Markup | None = Field(default=None, description="the body as CommonMark")
    image_alt: Summary | None = None
    image_credit: Title | None = None

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        given = [name for name in ("paragraphs", "html", "markdown") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"the body is given as {' and as '.join(given)}; give it once")
        return self


class ArticleIn(TextIn):
    """An article; nothing but a title or a body is required, and what lacks a title or a date is held as a draft."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID)] | None = Field(
        default=None, description="your own name for it: sent again under it, the article is updated"
    )
    kind: Annotated[Kind, Field(strict=False)] | None = Field(default=None, description="else story")
    language: Language | None = Field(default=None, description="else the newsroom's first")
    published: Day | None = Field(default=None, description="a day, or a time; without an offset the newsroom's")
    updated: Time | None = Field(default=None, description="when you last called it changed")
    embargo_until: Time | None = Field(default=None, description="not shown before")
    topics: Annotated[list[Title], Field(max_length=MOST_TOPICS)] | None = Field(
        default=None, description="slugs or labels; an unknown one is told of in the answer's warnings"
    )
    image: ImageIn | None = None
    event: EventIn | None = None
    translations: Annotated[dict[Language, TextIn], Field(max_length=MOST_TRANSLATIONS)] | None = Field(
        default=None, description="by language"
    )
    translation_of: Annotated[str, StringConstraints(max_length=LONGEST_URL)] | None = Field(
        default=None, description="the id or url of your article that this is a translation of"
    )
    is_significant: bool | None = Field(
        default=None, description="of a change: whether readers should hear of it again; else the texts decide"
    )

    def fields(self) -> dict[str, Any]:
        """Return what was given, as a file of articles names it."""
        return self.model_dump(mode="json", exclude_none=True, exclude={"is_significant"})


class WithdrawalIn(Strict):
    """Why an article is taken back."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_SUMMARY, pattern=r"\S")] = Field(
        description="for those who ask later"
    )


class TextOut(BaseModel):
    """An article in one language, as it is kept."""

    title: str
    summary: str
    url: str | None


class ArticleOut(BaseModel):
    """An article as the newsroom has it."""

    uid: str = Field(description="its name here, for ever")
    state: ArticleState
    kind: Kind
    title: str
    language: str
    page: str = Field(description="the address of its page on this service")
    published_at: datetime | None
    visible_at: datetime | None = Field(description="when readers see it: its date, or the end of its embargo")
    updated_at: datetime = Field(description="when it last changed in a way that readers heard of")
    revision: int = Field(description="counts significant updates, from 1")
    lacks: list[str] = Field(description="what keeps a draft from being published")
    topics: list[str] = Field(description="slugs, the main one first")
    suggested_topics: list[str]
    image_url: str | None
    translations: dict[str, TextOut]
    withdrawn_at: datetime | None
    withdrawal_reason: str | None

    @classmethod
    def of(cls, facts: ArticleFacts, base_url: str) -> Self:
        """Return the facts of an article as the API gives them."""
        return cls(
            uid=facts.uid,
            state=facts.state,
            kind=facts.kind,
            title=facts.title,
            language=facts.language,
            page=f"{base_url}/articles/{facts.uid}",
            published_at=facts.published_at,
            visible_at=facts.visible_at,
            updated_at=facts.updated_at,
            revision=facts.revision,
            lacks=list(facts.lacks),
            topics=list(facts.topics),
            suggested_topics=list(facts.suggested),
            image_url=facts.image_url,
            translations={
                language: TextOut(title=text.title, summary=text.summary, url=text.url)
                for language, text in facts.translations.items()
            },
            withdrawn_at=facts.withdrawn_at,
            withdrawal_reason=facts.withdrawal_reason,
        )


class SubmissionOut(BaseModel):
    """What became of an article that was sent."""

    result: ImportResult = Field(description="merged: it tells the same story as the article given; held: a draft")
    is_significant: bool = Field(description="whether readers hear of it again")
    reason: str | None
    warnings: list[str] = Field(description="what a person should look at")
    article: ArticleOut

    @classmethod
    def of(cls, submission: Submission, base_url: str) -> Self:
        """Return a submission as the API tells of it."""
        outcome = submission.outcome
        return cls(
            result=outcome.result,
            is_significant=outcome.is_significant,
            reason=outcome.reason,
            warnings=list(outcome.warnings),
            article=ArticleOut.of(submission.article, base_url),
        )


class ArticlesOut(BaseModel):
    """Articles of this client, the last received first."""

    articles: list[ArticleOut]
    next_before: str | None = Field(description="the `before` of the next page")


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    pointer: str = Field(description="JSON Pointer of the field, as a URI fragment (RFC 6901 §6)")
    detail: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = []
