"""What has to be so for a delivery to be sent: conditions on its row that a turn asks, and that settle what it left."""

from sqlalchemy import select, text
from sqlalchemy.sql.elements import ColumnElement

from newsletter.storage.deliveries import DeliveryRow
from newsletter.storage.editions import EditionRow
from newsletter.storage.lists import ListRow
from newsletter.storage.subscriptions import SubscriptionRow, is_paused
from newsletter.storage.suppressions import SuppressionRow
from newsletter.storage.variants import VariantRow


def edition_is_sending() -> ColumnElement[bool]:
    """Say whether its edition is being sent, and its list not paused."""
    return (
        select(EditionRow.id)
        .join(ListRow, ListRow.id == EditionRow.list_id)
        .where(
            EditionRow.id == DeliveryRow.edition_id, EditionRow.state == text("'sending'"), ListRow.paused_at.is_(None)
        )
        .exists()
    )


def is_subscribed(*, paused: bool = False) -> ColumnElement[bool]:
    """Say whether the reader has a confirmed subscription to the list, be it not the one this mail was made for.

    *paused*: one that pauses, such that what it holds back is known by its reason.
    """
    return (
        select(SubscriptionRow.id)
        .where(
            SubscriptionRow.subscriber_id == DeliveryRow.subscriber_id,
            SubscriptionRow.list_id == DeliveryRow.list_id,
            SubscriptionRow.state == text("'confirmed'"),
            *((is_paused(),) if paused else ()),
        )
        .exists()
    )


def is_replaced() -> ColumnElement[bool]:
    """Say whether something in its variant was withdrawn or mended."""
    return (
        select(VariantRow.id)
        .where(VariantRow.id == DeliveryRow.variant_id, VariantRow.replaced_at.is_not(None))
        .exists()
    )


def is_suppressed() -> ColumnElement[bool]:
    """Say whether its address may get no mail at all."""
    return (
        select(SuppressionRow.id)
        .where(SuppressionRow.address_hmac == DeliveryRow.address_hmac, SuppressionRow.lifted_at.is_(None))
        .exists()
    )
