"""Thin tasks: each is a doorbell that calls one service; running one twice, or for nothing, changes nothing."""

from newsletter.dispatch import Doorbell
from newsletter.domain.deliveries import Pool
from newsletter.services.changes import article_changed as answer_article_changed
from newsletter.services.composing import compile_edition as answer_compile_edition
from newsletter.services.editions import fan_out_edition as answer_fan_out_edition
from newsletter.services.feed_rebuilding import rebuild_feeds as answer_rebuild_feeds
from newsletter.services.polling import poll_source as answer_poll_source
from newsletter.services.sending import send_slice
from newsletter.services.tick import tick as answer_tick
from newsletter.services.websub import push_feeds as answer_push_feeds
from workers.app import celery, parts, stopping, tick_seconds
from workers.pace import Pace

_ticking = Pace(tick_seconds / 3)


@celery.task(name=Doorbell.TICK)
def tick() -> None:
    """Look what time has brought: due slots, lapsed leases. Of ticks that have piled up, this process answers one."""
    if _ticking.allows():
        answer_tick(parts())


@celery.task(name=Doorbell.ARTICLE_CHANGED)
def article_changed(article_id: int) -> None:
    """Hear that an article was published, changed or withdrawn."""
    answer_article_changed(parts(), article_id)


@celery.task(name=Doorbell.REBUILD_FEEDS)
def rebuild_feeds() -> None:
    """Rebuild feeds, if any want it."""
    answer_rebuild_feeds(parts())


@celery.task(name=Doorbell.PUSH_FEEDS)
def push_feeds() -> None:
    """Call those who follow feeds that changed, if there are any."""
    answer_push_feeds(parts())


@celery.task(name=Doorbell.COMPILE_EDITION)
def compile_edition(edition_id: int) -> None:
    """Compose an edition that was opened."""
    answer_compile_edition(parts(), edition_id)


@celery.task(name=Doorbell.FAN_OUT_EDITION)
def fan_out_edition(edition_id: int) -> None:
    """Make the deliveries of an edition that was approved."""
    answer_fan_out_edition(parts(), edition_id)


@celery.task(name=Doorbell.SEND_BULK)
def send_bulk() -> None:
    """Send due digests, if there are any."""
    send_slice(parts(), Pool.BULK, should_stop=stopping.is_set)


@celery.task(name=Doorbell.SEND_TRANSACTIONAL)
def send_transactional() -> None:
    """Send due confirmations, if there are any."""
    send_slice(parts(), Pool.TRANSACTIONAL, should_stop=stopping.is_set)


@celery.task(name=Doorbell.POLL_SOURCE)
def poll_source(source_id: int) -> None:
    """Ask a source whether it has news, if it is due."""
    answer_poll_source(parts(), source_id)
