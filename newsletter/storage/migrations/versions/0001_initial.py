"""initial."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

IDENTIFIER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("act", sa.String(length=40), nullable=False),
        sa.Column("about", sa.String(length=120), nullable=False),
        sa.Column("details", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_about_id"), ["about", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_actor_id"), ["actor", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_at"), ["at"], unique=False)

    op.create_table(
        "delivery",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=True),
        sa.Column("edition_id", IDENTIFIER, nullable=True),
        sa.Column("list_id", IDENTIFIER, nullable=True),
        sa.Column("variant_id", IDENTIFIER, nullable=True),
        sa.Column("subscriber_id", IDENTIFIER, nullable=False),
        sa.Column("subscription_id", IDENTIFIER, nullable=True),
        sa.Column("filter_id", IDENTIFIER, nullable=True),
        sa.Column("language", sa.String(length=40), nullable=False),
        sa.Column("address", sa.String(length=320), nullable=True),
        sa.Column("address_hmac", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("content", JSON, nullable=True),
        sa.Column("mail_token", sa.String(length=36), nullable=False),
        sa.Column("mail_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pool", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_token", sa.String(length=36), nullable=True),
        sa.Column("lease_owner", sa.String(length=200), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("lapses", sa.Integer(), nullable=False),
        sa.Column("resends", sa.Integer(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=40), nullable=True),
        sa.Column("outcome_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(lease_token IS NOT NULL) = (state IN ('leased', 'sending'))",
            name=op.f("ck_delivery_lease_token_while_leased"),
        ),
        sa.CheckConstraint("(pool = 'bulk') = (edition_id IS NOT NULL)", name=op.f("ck_delivery_edition_is_bulk")),
        sa.CheckConstraint("(purpose = 'edition') = (edition_id IS NOT NULL)", name=op.f("ck_delivery_edition_has_id")),
        sa.CheckConstraint(
            "outcome IN ('delivered', 'delayed', 'soft_bounce', 'hard_bounce', 'complaint')",
            name=op.f("ck_delivery_outcome_is_known"),
        ),
        sa.CheckConstraint("pool IN ('transactional', 'bulk')", name=op.f("ck_delivery_pool_is_known")),
        sa.CheckConstraint(
            "purpose IN ('edition', 'confirmation', 'notice')", name=op.f("ck_delivery_purpose_is_known")
        ),
        sa.CheckConstraint(
            "state <> 'accepted' OR accepted_at IS NOT NULL", name=op.f("ck_delivery_accepted_has_time")
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'leased', 'sending', 'accepted', 'in_doubt', 'failed', 'suppressed', 'cancelled', 'expired')",
            name=op.f("ck_delivery_state_is_known"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("edition_id", "subscriber_id", name=op.f("uq_delivery_edition_id_subscriber_id")),
        sa.UniqueConstraint("mail_token", name=op.f("uq_delivery_mail_token")),
        postgresql_with={
            "fillfactor": 50,
            "autovacuum_vacuum_scale_factor": 0.02,
            "autovacuum_vacuum_threshold": 10000,
        },
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index(
            "ix_delivery_due",
            ["edition_id", "provider", "available_at", "id"],
            unique=False,
            sqlite_where=sa.text("state = 'queued'"),
            postgresql_where=sa.text("state = 'queued'"),
        )
        batch_op.create_index("ix_delivery_subscriber", ["subscriber_id"], unique=False)
        batch_op.create_index(
            "ix_delivery_under_way",
            ["state", "edition_id"],
            unique=False,
            sqlite_where=sa.text("state IN ('leased', 'sending', 'in_doubt')"),
            postgresql_where=sa.text("state IN ('leased', 'sending', 'in_doubt')"),
        )
        batch_op.create_index(
            "uq_delivery_idempotency_key",
            ["idempotency_key"],
            unique=True,
            sqlite_where=sa.text("idempotency_key IS NOT NULL"),
            postgresql_where=sa.text("idempotency_key IS NOT NULL"),
        )

    op.create_table(
        "delivery_attempt",
        sa.Column("delivery_id", IDENTIFIER, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=200), nullable=False),
        sa.Column("lease_token", sa.String(length=36), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("stage", sa.String(length=40), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("enhanced", sa.String(length=12), nullable=True),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("delivery_id", "n", name=op.f("pk_delivery_attempt")),
    )
    op.create_table(
        "feed_authority",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_feed_authority_only_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feed_authority")),
    )
    op.create_table(
        "feed_follower",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("document", sa.String(length=170), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("callback", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("change_count", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pushed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feed_follower")),
        sa.UniqueConstraint("key", name=op.f("uq_feed_follower_key")),
    )
    with op.batch_alter_table("feed_follower", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_feed_follower_document"), ["document"], unique=False)
        batch_op.create_index(batch_op.f("ix_feed_follower_due_at"), ["due_at"], unique=False)

    op.create_table(
        "feed_fragment",
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_feed_fragment")),
    )
    op.create_table(
        "feed_reader",
        sa.Column("feed", sa.String(length=150), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("stated", JSON, nullable=False),
        sa.Column("direct", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("feed", "day", name=op.f("pk_feed_reader")),
    )
    op.create_table(
        "filter",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("canonical", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("choice", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_filter")),
        sa.UniqueConstraint("digest", name=op.f("uq_filter_digest")),
    )
    op.create_table(
        "former_feed",
        sa.Column("slug", sa.String(length=160), nullable=False),
        sa.Column("moved_to", sa.String(length=160), nullable=True),
        sa.Column("is_final", sa.Boolean(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_former_feed")),
    )
    op.create_table(
        "heartbeat",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_heartbeat")),
    )
    op.create_table(
        "hub_ping",
        sa.Column("document", sa.String(length=170), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("change_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("document", name=op.f("pk_hub_ping")),
    )
    with op.batch_alter_table("hub_ping", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_hub_ping_due_at"), ["due_at"], unique=False)

    op.create_table(
        "hub_request",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("document", sa.String(length=170), nullable=False),
        sa.Column("mode", sa.String(length=40), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("callback", sa.Text(), nullable=False),
        sa.Column("lease_seconds", sa.Integer(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("mode IN ('subscribe', 'unsubscribe', 'denied')", name=op.f("ck_hub_request_mode_is_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hub_request")),
        sa.UniqueConstraint("key", name=op.f("uq_hub_request_key")),
    )
    with op.batch_alter_table("hub_request", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_hub_request_due_at"), ["due_at"], unique=False)

    op.create_table(
        "lineage",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("steps", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cluster", sa.String(length=40), nullable=True),
        sa.Column("timeline", sa.String(length=8), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_lineage_there_is_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lineage")),
    )
    op.create_table(
        "relay",
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("trips", sa.Integer(), nullable=False),
        sa.Column("open_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("probe_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("probed", sa.Boolean(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_stage", sa.String(length=40), nullable=True),
        sa.Column("failed_words", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_relay")),
    )
    op.create_table(
        "retention",
        sa.Column("job", sa.String(length=40), nullable=False),
        sa.Column("last_id", IDENTIFIER, nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_retention")),
    )
    op.create_table(
        "send_limit",
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("rate", sa.Double(), nullable=True),
        sa.Column("concurrency", sa.Integer(), nullable=True),
        sa.Column("per_connection", sa.Integer(), nullable=True),
        sa.Column("full_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_set", sa.Boolean(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_send_limit")),
    )
    op.create_table(
        "sign_up_tally",
        sa.Column("scope", sa.String(length=80), nullable=False),
        sa.Column("begins_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "begins_at", "seconds", name=op.f("pk_sign_up_tally")),
    )
    op.create_table(
        "source",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("slug", sa.String(length=80), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source")),
        sa.UniqueConstraint("slug", name=op.f("uq_source_slug")),
    )
    op.create_table(
        "staff",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("signed_in_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role IN ('editor', 'operator')", name=op.f("ck_staff_role_is_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff")),
        sa.UniqueConstraint("email", name=op.f("uq_staff_email")),
    )
    op.create_table(
        "staff_try",
        sa.Column("scope", sa.String(length=80), nullable=False),
        sa.Column("begins_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "begins_at", name=op.f("pk_staff_try")),
    )
    op.create_table(
        "stop",
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.CheckConstraint("kind IN ('pause', 'restore')", name=op.f("ck_stop_kind_is_known")),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_stop")),
    )
    op.create_table(
        "subscriber",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("address", sa.String(length=320), nullable=True),
        sa.Column("address_key", sa.String(length=320), nullable=True),
        sa.Column("address_hmac", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("language", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(address IS NULL) = (address_key IS NULL)", name=op.f("ck_subscriber_address_has_key")),
        sa.CheckConstraint(
            "(address IS NULL) = (erased_at IS NOT NULL)", name=op.f("ck_subscriber_address_until_erased")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriber")),
        sa.UniqueConstraint("address_key", name=op.f("uq_subscriber_address_key")),
        sa.UniqueConstraint("uid", name=op.f("uq_subscriber_uid")),
    )
    with op.batch_alter_table("subscriber", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_subscriber_address_hmac"), ["address_hmac"], unique=False)
        batch_op.create_index(
            "ix_subscriber_erased",
            ["address_hmac"],
            unique=False,
            sqlite_where=sa.text("erased_at IS NOT NULL"),
            postgresql_where=sa.text("erased_at IS NOT NULL"),
        )

    op.create_table(
        "suppression",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("address_hmac", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "reason IN ('hard_bounce', 'complaint', 'manual', 'not_me')", name=op.f("ck_suppression_reason_is_known")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppression")),
        sa.UniqueConstraint("address_hmac", name=op.f("uq_suppression_address_hmac")),
    )
    op.create_table(
        "topic",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("slug", sa.String(length=80), nullable=False),
        sa.Column("scheme", sa.String(length=300), nullable=False),
        sa.Column("parent_id", IDENTIFIER, nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("applies_rules", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["topic.id"], name=op.f("fk_topic_parent_id_topic")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topic")),
        sa.UniqueConstraint("slug", name=op.f("uq_topic_slug")),
    )
    op.create_table(
        "api_client",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("source_id", IDENTIFIER, nullable=False),
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("minute_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("minute_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name=op.f("fk_api_client_source_id_source")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_client")),
        sa.UniqueConstraint("name", name=op.f("uq_api_client_name")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_api_client_token_digest")),
    )
    op.create_table(
        "article",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("source_id", IDENTIFIER, nullable=False),
        sa.Column("default_language", sa.String(length=40), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("embargo_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("visible_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawal_reason", sa.Text(), nullable=True),
        sa.Column("lacks", JSON, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("is_archive", sa.Boolean(), nullable=False),
        sa.Column("image_url", sa.Text(), nullable=True),
        sa.Column("image_width", sa.Integer(), nullable=True),
        sa.Column("image_height", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('press_release', 'story', 'speech', 'video', 'publication', 'event')",
            name=op.f("ck_article_kind_is_known"),
        ),
        sa.CheckConstraint("state IN ('draft', 'published', 'withdrawn')", name=op.f("ck_article_state_is_known")),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name=op.f("fk_article_source_id_source")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_article")),
        sa.UniqueConstraint("uid", name=op.f("uq_article_uid")),
    )
    with op.batch_alter_table("article", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_article_state_visible_at"), ["state", "visible_at"], unique=False)

    op.create_table(
        "delivery_event",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("external_id", sa.String(length=300), nullable=False),
        sa.Column("delivery_id", IDENTIFIER, nullable=True),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("details", JSON, nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.id"], name=op.f("fk_delivery_event_delivery_id_delivery")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_event")),
        sa.UniqueConstraint("source", "external_id", name=op.f("uq_delivery_event_source_external_id")),
    )
    with op.batch_alter_table("delivery_event", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_delivery_event_delivery_id"), ["delivery_id"], unique=False)

    op.create_table(
        "feed",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("slug", sa.String(length=160), nullable=False),
        sa.Column("facet", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=40), nullable=False),
        sa.Column("filter_id", IDENTIFIER, nullable=False),
        sa.Column("within_id", IDENTIFIER, nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("change_count", sa.Integer(), nullable=False),
        sa.Column("built_count", sa.Integer(), nullable=False),
        sa.Column("entry_count", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("dirty_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rebuilt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "facet IN ('all', 'topic', 'kind', 'list', 'custom', 'choice')", name=op.f("ck_feed_facet_is_known")
        ),
        sa.CheckConstraint("built_count <= change_count", name=op.f("ck_feed_built_from_known_changes")),
        sa.ForeignKeyConstraint(["filter_id"], ["filter.id"], name=op.f("fk_feed_filter_id_filter")),
        sa.ForeignKeyConstraint(["within_id"], ["filter.id"], name=op.f("fk_feed_within_id_filter")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feed")),
        sa.UniqueConstraint("slug", name=op.f("uq_feed_slug")),
    )
    op.create_table(
        "list",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("slug", sa.String(length=80), nullable=False),
        sa.Column("titles", JSON, nullable=False),
        sa.Column("descriptions", JSON, nullable=False),
        sa.Column("intros", JSON, nullable=False),
        sa.Column("from_name", sa.String(length=200), nullable=False),
        sa.Column("from_address", sa.String(length=320), nullable=False),
        sa.Column("reply_to", sa.String(length=320), nullable=True),
        sa.Column("zone", sa.String(length=60), nullable=False),
        sa.Column("send_at", sa.Time(), nullable=False),
        sa.Column("weekday", sa.Integer(), nullable=False),
        sa.Column("month_day", sa.Integer(), nullable=False),
        sa.Column("cadences", JSON, nullable=False),
        sa.Column("languages", JSON, nullable=False),
        sa.Column("filter_id", IDENTIFIER, nullable=False),
        sa.Column("sections", sa.String(length=40), nullable=False),
        sa.Column("review_minutes", sa.Integer(), nullable=True),
        sa.Column("review_hold", sa.Boolean(), nullable=False),
        sa.Column("in_doubt_policy", sa.String(length=40), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("canary", sa.String(length=12), nullable=True),
        sa.Column("canary_limit", sa.Double(), nullable=True),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_by", sa.String(length=200), nullable=True),
        sa.Column("pause_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("in_doubt_policy IN ('hold', 'resend_once')", name=op.f("ck_list_in_doubt_policy_is_known")),
        sa.CheckConstraint("sections IN ('topic', 'kind')", name=op.f("ck_list_sections_is_known")),
        sa.ForeignKeyConstraint(["filter_id"], ["filter.id"], name=op.f("fk_list_filter_id_filter")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_list")),
        sa.UniqueConstraint("slug", name=op.f("uq_list_slug")),
    )
    op.create_table(
        "reader_request",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("subscriber_id", IDENTIFIER, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("language", sa.String(length=40), nullable=False),
        sa.Column("address", sa.String(length=320), nullable=True),
        sa.Column("address_key", sa.String(length=320), nullable=True),
        sa.CheckConstraint("kind IN ('download', 'erase', 'address')", name=op.f("ck_reader_request_kind_is_known")),
        sa.CheckConstraint("(address IS NULL) = (address_key IS NULL)", name=op.f("ck_reader_request_address_has_key")),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name=op.f("fk_reader_request_subscriber_id_subscriber")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reader_request")),
        sa.UniqueConstraint("uid", name=op.f("uq_reader_request_uid")),
    )
    with op.batch_alter_table("reader_request", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_reader_request_asked_at"), ["asked_at"], unique=False)
        batch_op.create_index("ix_reader_request_subscriber", ["subscriber_id", "asked_at"], unique=False)

    op.create_table(
        "source_poll",
        sa.Column("source_id", IDENTIFIER, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("given_url", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("topics", JSON, nullable=False),
        sa.Column("language", sa.String(length=40), nullable=True),
        sa.Column("every_minutes", sa.Integer(), nullable=True),
        sa.Column("takes_full_text", sa.Boolean(), nullable=False),
        sa.Column("first_items", sa.Integer(), nullable=False),
        sa.Column("mails_first", sa.Boolean(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("last_modified", sa.Text(), nullable=True),
        sa.Column("ttl_seconds", sa.Integer(), nullable=True),
        sa.Column("body_digest", sa.String(length=64), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("skipped", JSON, nullable=False),
        sa.Column("window", JSON, nullable=False),
        sa.Column("missing", JSON, nullable=False),
        sa.Column("polled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("succeeded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("problem_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counts", JSON, nullable=False),
        sa.Column("warnings", JSON, nullable=False),
        sa.Column("hub_state", sa.String(length=40), nullable=False),
        sa.Column("hub_url", sa.Text(), nullable=True),
        sa.Column("hub_topic", sa.Text(), nullable=True),
        sa.Column("hub_name", sa.String(length=64), nullable=True),
        sa.Column("hub_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("hub_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "hub_state IN ('none', 'asked', 'subscribed', 'denied')", name=op.f("ck_source_poll_hub_state_is_known")
        ),
        sa.CheckConstraint("state IN ('active', 'paused', 'closed')", name=op.f("ck_source_poll_state_is_known")),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name=op.f("fk_source_poll_source_id_source")),
        sa.PrimaryKeyConstraint("source_id", name=op.f("pk_source_poll")),
        sa.UniqueConstraint("hub_name", name=op.f("uq_source_poll_hub_name")),
    )
    with op.batch_alter_table("source_poll", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_source_poll_state_due_at"), ["state", "due_at"], unique=False)

    op.create_table(
        "staff_session",
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("staff_id", IDENTIFIER, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f("fk_staff_session_staff_id_staff"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_digest", name=op.f("pk_staff_session")),
    )
    with op.batch_alter_table("staff_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_staff_session_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_staff_session_staff_id"), ["staff_id"], unique=False)

    op.create_table(
        "topic_rule",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("topic_id", IDENTIFIER, nullable=False),
        sa.Column("language", sa.String(length=40), nullable=False),
        sa.Column("phrase", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["topic_id"], ["topic.id"], name=op.f("fk_topic_rule_topic_id_topic"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topic_rule")),
        sa.UniqueConstraint("topic_id", "language", "phrase", name=op.f("uq_topic_rule_topic_id_language_phrase")),
    )
    op.create_table(
        "api_request",
        sa.Column("client_id", IDENTIFIER, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["api_client.id"], name=op.f("fk_api_request_client_id_api_client"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("client_id", "key", name=op.f("pk_api_request")),
    )
    with op.batch_alter_table("api_request", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_request_at"), ["at"], unique=False)

    op.create_table(
        "article_event",
        sa.Column("article_id", IDENTIFIER, nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("zone", sa.String(length=60), nullable=False),
        sa.Column("venue", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"], ["article.id"], name=op.f("fk_article_event_article_id_article"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("article_id", name=op.f("pk_article_event")),
    )
    op.create_table(
        "article_key",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("source_id", IDENTIFIER, nullable=False),
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("article_id", IDENTIFIER, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["article_id"], ["article.id"], name=op.f("fk_article_key_article_id_article"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name=op.f("fk_article_key_source_id_source")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_article_key")),
        sa.UniqueConstraint("source_id", "key", name=op.f("uq_article_key_source_id_key")),
    )
    with op.batch_alter_table("article_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_article_key_article_id"), ["article_id"], unique=False)

    op.create_table(
        "article_mark",
        sa.Column("article_id", IDENTIFIER, nullable=False),
        sa.Column("mark", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"], ["article.id"], name=op.f("fk_article_mark_article_id_article"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("article_id", "mark", name=op.f("pk_article_mark")),
    )
    with op.batch_alter_table("article_mark", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_article_mark_mark"), ["mark"], unique=False)

    op.create_table(
        "article_topic",
        sa.Column("article_id", IDENTIFIER, nullable=False),
        sa.Column("topic_id", IDENTIFIER, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"], ["article.id"], name=op.f("fk_article_topic_article_id_article"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["topic_id"], ["topic.id"], name=op.f("fk_article_topic_topic_id_topic")),
        sa.PrimaryKeyConstraint("article_id", "topic_id", name=op.f("pk_article_topic")),
    )
    with op.batch_alter_table("article_topic", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_article_topic_topic_id"), ["topic_id"], unique=False)

    op.create_table(
        "article_translation",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("article_id", IDENTIFIER, nullable=False),
        sa.Column("language", sa.String(length=40), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("body_html", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("image_alt", sa.Text(), nullable=False),
        sa.Column("image_credit", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"], ["article.id"], name=op.f("fk_article_translation_article_id_article"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_article_translation")),
        sa.UniqueConstraint("article_id", "language", name=op.f("uq_article_translation_article_id_language")),
    )
    op.create_table(
        "edition",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("list_id", IDENTIFIER, nullable=False),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("cadence", sa.String(length=40), nullable=False),
        sa.Column("slot_key", sa.String(length=60), nullable=False),
        sa.Column("slot_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cut_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("nonce", sa.String(length=32), nullable=False),
        sa.Column("skip_reason", sa.String(length=40), nullable=True),
        sa.Column("review_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("review_told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approved_by", sa.String(length=200), nullable=True),
        sa.Column("send_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fan_out_cursor", IDENTIFIER, nullable=False),
        sa.Column("candidate_count", sa.Integer(), nullable=False),
        sa.Column("fanned_out_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counts", JSON, nullable=True),
        sa.Column("pause_reason", sa.Text(), nullable=True),
        sa.Column("paused_by", sa.String(length=200), nullable=True),
        sa.Column("canary", sa.String(length=12), nullable=True),
        sa.Column("canary_size", sa.Integer(), nullable=True),
        sa.Column("canary_left", sa.Integer(), nullable=True),
        sa.Column("canary_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "cadence IN ('immediate', 'daily', 'weekly', 'monthly')", name=op.f("ck_edition_cadence_is_known")
        ),
        sa.CheckConstraint(
            "purpose IN ('digest', 'announcement', 'correction')", name=op.f("ck_edition_purpose_is_known")
        ),
        sa.CheckConstraint(
            "skip_reason IN ('empty', 'no_readers', 'missed')", name=op.f("ck_edition_skip_reason_is_known")
        ),
        sa.CheckConstraint(
            "state IN ('planned', 'review', 'approved', 'sending', 'paused', 'done', 'skipped', 'cancelled')",
            name=op.f("ck_edition_state_is_known"),
        ),
        sa.ForeignKeyConstraint(["list_id"], ["list.id"], name=op.f("fk_edition_list_id_list")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_edition")),
        sa.UniqueConstraint("list_id", "cadence", "slot_key", name=op.f("uq_edition_list_id_cadence_slot_key")),
    )
    with op.batch_alter_table("edition", schema=None) as batch_op:
        batch_op.create_index(
            "ix_edition_open",
            ["state"],
            unique=False,
            sqlite_where=sa.text("state NOT IN ('done', 'skipped', 'cancelled')"),
            postgresql_where=sa.text("state NOT IN ('done', 'skipped', 'cancelled')"),
        )

    op.create_table(
        "feed_change",
        sa.Column("article_id", IDENTIFIER, autoincrement=False, nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"], ["article.id"], name=op.f("fk_feed_change_article_id_article"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("article_id", name=op.f("pk_feed_change")),
    )
    op.create_table(
        "feed_document",
        sa.Column("name", sa.String(length=170), nullable=False),
        sa.Column("feed_id", IDENTIFIER, nullable=True),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("digests", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("etag", sa.String(length=64), nullable=False),
        sa.Column("last_modified", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["feed_id"], ["feed.id"], name=op.f("fk_feed_document_feed_id_feed"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_feed_document")),
    )
    with op.batch_alter_table("feed_document", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_feed_document_feed_id"), ["feed_id"], unique=False)

    op.create_table(
        "feed_entry",
        sa.Column("feed_id", IDENTIFIER, nullable=False),
        sa.Column("article_id", IDENTIFIER, nullable=False),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"], ["article.id"], name=op.f("fk_feed_entry_article_id_article"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["digest"], ["feed_fragment.digest"], name=op.f("fk_feed_entry_digest_feed_fragment")),
        sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f("fk_feed_entry_feed_id_feed"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("feed_id", "article_id", name=op.f("pk_feed_entry")),
    )
    with op.batch_alter_table("feed_entry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_feed_entry_article_id"), ["article_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_feed_entry_digest"), ["digest"], unique=False)

    op.create_table(
        "private_feed",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("subscriber_id", IDENTIFIER, nullable=False),
        sa.Column("list_id", IDENTIFIER, nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["list_id"], ["list.id"], name=op.f("fk_private_feed_list_id_list"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_private_feed_subscriber_id_subscriber"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_private_feed")),
        sa.UniqueConstraint("digest", name=op.f("uq_private_feed_digest")),
        sa.UniqueConstraint(
            "subscriber_id", "list_id", "serial", name=op.f("uq_private_feed_subscriber_id_list_id_serial")
        ),
    )
    with op.batch_alter_table("private_feed", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_private_feed_list_id"), ["list_id"], unique=False)

    op.create_table(
        "search_entry",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("article_id", IDENTIFIER, nullable=False),
        sa.Column("language", sa.String(length=40), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("words", postgresql.TSVECTOR().with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"], ["article.id"], name=op.f("fk_search_entry_article_id_article"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_entry")),
        sa.UniqueConstraint("article_id", "language", name=op.f("uq_search_entry_article_id_language")),
    )
    with op.batch_alter_table("search_entry", schema=None) as batch_op:
        batch_op.create_index("ix_search_entry_words", ["words"], unique=False, postgresql_using="gin")

    op.create_table(
        "subscription",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("subscriber_id", IDENTIFIER, nullable=False),
        sa.Column("list_id", IDENTIFIER, nullable=False),
        sa.Column("cadence", sa.String(length=40), nullable=False),
        sa.Column("language", sa.String(length=40), nullable=False),
        sa.Column("filter_id", IDENTIFIER, nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.String(length=40), nullable=True),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resumed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("catches_up", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "(state = 'ended') = (end_reason IS NOT NULL)", name=op.f("ck_subscription_ended_has_reason")
        ),
        sa.CheckConstraint("(state = 'ended') = (ended_at IS NOT NULL)", name=op.f("ck_subscription_ended_has_time")),
        sa.CheckConstraint(
            "cadence IN ('immediate', 'daily', 'weekly', 'monthly')", name=op.f("ck_subscription_cadence_is_known")
        ),
        sa.CheckConstraint(
            "end_reason IN ('unsubscribed', 'changed', 'bounced', 'complained', 'never_confirmed', 'removed', 'erased')",
            name=op.f("ck_subscription_end_reason_is_known"),
        ),
        sa.CheckConstraint(
            "state <> 'confirmed' OR confirmed_at IS NOT NULL", name=op.f("ck_subscription_confirmed_has_time")
        ),
        sa.CheckConstraint(
            "state IN ('unconfirmed', 'confirmed', 'ended')", name=op.f("ck_subscription_state_is_known")
        ),
        sa.CheckConstraint("(paused_at IS NULL) = (paused_until IS NULL)", name=op.f("ck_subscription_pause_has_end")),
        sa.CheckConstraint(
            "resumed_at IS NULL OR paused_at IS NOT NULL", name=op.f("ck_subscription_resumed_was_paused")
        ),
        sa.ForeignKeyConstraint(["filter_id"], ["filter.id"], name=op.f("fk_subscription_filter_id_filter")),
        sa.ForeignKeyConstraint(["list_id"], ["list.id"], name=op.f("fk_subscription_list_id_list")),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name=op.f("fk_subscription_subscriber_id_subscriber")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription")),
        sa.UniqueConstraint("uid", name=op.f("uq_subscription_uid")),
    )
    with op.batch_alter_table("subscription", schema=None) as batch_op:
        batch_op.create_index(
            "ix_subscription_audience",
            ["list_id", "cadence", "filter_id", "language", "id"],
            unique=False,
            sqlite_where=sa.text("state = 'confirmed'"),
            postgresql_where=sa.text("state = 'confirmed'"),
        )
        batch_op.create_index(
            "ix_subscription_paused",
            ["paused_until"],
            unique=False,
            sqlite_where=sa.text("paused_at IS NOT NULL AND resumed_at IS NULL"),
            postgresql_where=sa.text("paused_at IS NOT NULL AND resumed_at IS NULL"),
        )
        batch_op.create_index(batch_op.f("ix_subscription_subscriber_id"), ["subscriber_id"], unique=False)
        batch_op.create_index(
            "ix_subscription_waiting",
            ["created_at"],
            unique=False,
            sqlite_where=sa.text("state = 'unconfirmed'"),
            postgresql_where=sa.text("state = 'unconfirmed'"),
        )
        batch_op.create_index(
            "uq_subscription_live",
            ["subscriber_id", "list_id"],
            unique=True,
            sqlite_where=sa.text("state <> 'ended'"),
            postgresql_where=sa.text("state <> 'ended'"),
        )

    op.create_table(
        "announcement",
        sa.Column("edition_id", IDENTIFIER, nullable=False),
        sa.Column("letters", JSON, nullable=False),
        sa.Column("filter_id", IDENTIFIER, nullable=True),
        sa.Column("corrects_edition_id", IDENTIFIER, nullable=True),
        sa.Column("corrects_article_id", IDENTIFIER, nullable=True),
        sa.ForeignKeyConstraint(
            ["corrects_article_id"], ["article.id"], name=op.f("fk_announcement_corrects_article_id_article")
        ),
        sa.ForeignKeyConstraint(
            ["corrects_edition_id"], ["edition.id"], name=op.f("fk_announcement_corrects_edition_id_edition")
        ),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_announcement_edition_id_edition"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["filter_id"], ["filter.id"], name=op.f("fk_announcement_filter_id_filter")),
        sa.PrimaryKeyConstraint("edition_id", name=op.f("pk_announcement")),
    )
    op.create_table(
        "consent",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("subscription_id", IDENTIFIER, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("act", sa.String(length=40), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("wording", sa.String(length=16), nullable=False),
        sa.Column("page", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=40), nullable=False),
        sa.Column("network", sa.String(length=64), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "act IN ('asked', 'confirmed', 'imported', 'changed', 'ended', 'paused', 'resumed', 'moved', 'undone')",
            name=op.f("ck_consent_act_is_known"),
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_consent_subscription_id_subscription")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent")),
    )
    with op.batch_alter_table("consent", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_consent_subscription_id"), ["subscription_id"], unique=False)

    op.create_table(
        "edition_block",
        sa.Column("edition_id", IDENTIFIER, nullable=False),
        sa.Column("language", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_edition_block_edition_id_edition"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("edition_id", "language", "key", name=op.f("pk_edition_block")),
    )
    op.create_table(
        "edition_edit",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("edition_id", IDENTIFIER, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("article_id", IDENTIFIER, nullable=True),
        sa.Column("language", sa.String(length=40), nullable=True),
        sa.Column("words", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('intro', 'lead', 'pin', 'unpin', 'drop', 'postpone', 'restore', 'order', 'summary', 'add', 'reset')",
            name=op.f("ck_edition_edit_kind_is_known"),
        ),
        sa.ForeignKeyConstraint(["article_id"], ["article.id"], name=op.f("fk_edition_edit_article_id_article")),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_edition_edit_edition_id_edition"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_edition_edit")),
    )
    with op.batch_alter_table("edition_edit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_edition_edit_edition_id"), ["edition_id"], unique=False)

    op.create_table(
        "edition_exclusion",
        sa.Column("edition_id", IDENTIFIER, nullable=False),
        sa.Column("subscription_id", IDENTIFIER, nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_edition_exclusion_edition_id_edition"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_edition_exclusion_subscription_id_subscription")
        ),
        sa.PrimaryKeyConstraint("edition_id", "subscription_id", name=op.f("pk_edition_exclusion")),
    )
    op.create_table(
        "edition_item",
        sa.Column("edition_id", IDENTIFIER, nullable=False),
        sa.Column("article_id", IDENTIFIER, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("mend", sa.Integer(), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["article_id"], ["article.id"], name=op.f("fk_edition_item_article_id_article")),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_edition_item_edition_id_edition"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("edition_id", "article_id", name=op.f("pk_edition_item")),
    )
    with op.batch_alter_table("edition_item", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_edition_item_article_id"), ["article_id"], unique=False)

    op.create_table(
        "variant",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("edition_id", IDENTIFIER, nullable=False),
        sa.Column("language", sa.String(length=40), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("blocks", JSON, nullable=False),
        sa.Column("holes", JSON, nullable=False),
        sa.Column("html_bytes", sa.Integer(), nullable=False),
        sa.Column("item_count", sa.Integer(), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replaced_by", IDENTIFIER, nullable=True),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_variant_edition_id_edition"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["replaced_by"], ["variant.id"], name=op.f("fk_variant_replaced_by_variant"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_variant")),
        sa.UniqueConstraint("edition_id", "language", "digest", name=op.f("uq_variant_edition_id_language_digest")),
    )
    op.create_table(
        "edition_audience",
        sa.Column("edition_id", IDENTIFIER, nullable=False),
        sa.Column("filter_id", IDENTIFIER, nullable=False),
        sa.Column("language", sa.String(length=40), nullable=False),
        sa.Column("variant_id", IDENTIFIER, nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_edition_audience_edition_id_edition"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["filter_id"], ["filter.id"], name=op.f("fk_edition_audience_filter_id_filter")),
        sa.ForeignKeyConstraint(
            ["variant_id"], ["variant.id"], name=op.f("fk_edition_audience_variant_id_variant"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("edition_id", "filter_id", "language", name=op.f("pk_edition_audience")),
    )
    with op.batch_alter_table("edition_audience", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_edition_audience_variant_id"), ["variant_id"], unique=False)

    op.create_table(
        "edition_audience_exception",
        sa.Column("edition_id", IDENTIFIER, nullable=False),
        sa.Column("subscription_id", IDENTIFIER, nullable=False),
        sa.Column("variant_id", IDENTIFIER, nullable=True),
        sa.ForeignKeyConstraint(
            ["edition_id"],
            ["edition.id"],
            name=op.f("fk_edition_audience_exception_edition_id_edition"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscription.id"],
            name=op.f("fk_edition_audience_exception_subscription_id_subscription"),
        ),
        sa.ForeignKeyConstraint(
            ["variant_id"],
            ["variant.id"],
            name=op.f("fk_edition_audience_exception_variant_id_variant"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("edition_id", "subscription_id", name=op.f("pk_edition_audience_exception")),
    )
    with op.batch_alter_table("edition_audience_exception", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_edition_audience_exception_variant_id"), ["variant_id"], unique=False)

    op.create_table(
        "variant_item",
        sa.Column("variant_id", IDENTIFIER, nullable=False),
        sa.Column("article_id", IDENTIFIER, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("language", sa.String(length=40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("mend", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["article_id"], ["article.id"], name=op.f("fk_variant_item_article_id_article")),
        sa.ForeignKeyConstraint(
            ["variant_id"], ["variant.id"], name=op.f("fk_variant_item_variant_id_variant"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("variant_id", "article_id", name=op.f("pk_variant_item")),
    )
    with op.batch_alter_table("variant_item", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_variant_item_article_id"), ["article_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("variant_item", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_variant_item_article_id"))

    op.drop_table("variant_item")
    with op.batch_alter_table("edition_audience_exception", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_edition_audience_exception_variant_id"))

    op.drop_table("edition_audience_exception")
    with op.batch_alter_table("edition_audience", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_edition_audience_variant_id"))

    op.drop_table("edition_audience")
    op.drop_table("variant")
    with op.batch_alter_table("edition_item", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_edition_item_article_id"))

    op.drop_table("edition_item")
    op.drop_table("edition_exclusion")
    with op.batch_alter_table("edition_edit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_edition_edit_edition_id"))

    op.drop_table("edition_edit")
    op.drop_table("edition_block")
    with op.batch_alter_table("consent", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_consent_subscription_id"))

    op.drop_table("consent")
    op.drop_table("announcement")
    with op.batch_alter_table("subscription", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_subscription_live",
            sqlite_where=sa.text("state <> 'ended'"),
            postgresql_where=sa.text("state <> 'ended'"),
        )
        batch_op.drop_index(
            "ix_subscription_waiting",
            sqlite_where=sa.text("state = 'unconfirmed'"),
            postgresql_where=sa.text("state = 'unconfirmed'"),
        )
        batch_op.drop_index(batch_op.f("ix_subscription_subscriber_id"))
        batch_op.drop_index(
            "ix_subscription_paused",
            sqlite_where=sa.text("paused_at IS NOT NULL AND resumed_at IS NULL"),
            postgresql_where=sa.text("paused_at IS NOT NULL AND resumed_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_subscription_audience",
            sqlite_where=sa.text("state = 'confirmed'"),
            postgresql_where=sa.text("state = 'confirmed'"),
        )

    op.drop_table("subscription")
    with op.batch_alter_table("search_entry", schema=None) as batch_op:
        batch_op.drop_index("ix_search_entry_words", postgresql_using="gin")

    op.drop_table("search_entry")
    with op.batch_alter_table("private_feed", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_private_feed_list_id"))

    op.drop_table("private_feed")
    with op.batch_alter_table("feed_entry", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_feed_entry_digest"))
        batch_op.drop_index(batch_op.f("ix_feed_entry_article_id"))

    op.drop_table("feed_entry")
    with op.batch_alter_table("feed_document", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_feed_document_feed_id"))

    op.drop_table("feed_document")
    op.drop_table("feed_change")
    with op.batch_alter_table("edition", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_edition_open",
            sqlite_where=sa.text("state NOT IN ('done', 'skipped', 'cancelled')"),
            postgresql_where=sa.text("state NOT IN ('done', 'skipped', 'cancelled')"),
        )

    op.drop_table("edition")
    op.drop_table("article_translation")
    with op.batch_alter_table("article_topic", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_article_topic_topic_id"))

    op.drop_table("article_topic")
    with op.batch_alter_table("article_mark", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_article_mark_mark"))

    op.drop_table("article_mark")
    with op.batch_alter_table("article_key", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_article_key_article_id"))

    op.drop_table("article_key")
    op.drop_table("article_event")
    with op.batch_alter_table("api_request", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_request_at"))

    op.drop_table("api_request")
    op.drop_table("topic_rule")
    with op.batch_alter_table("staff_session", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_staff_session_staff_id"))
        batch_op.drop_index(batch_op.f("ix_staff_session_created_at"))

    op.drop_table("staff_session")
    with op.batch_alter_table("source_poll", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_source_poll_state_due_at"))

    op.drop_table("source_poll")
    with op.batch_alter_table("reader_request", schema=None) as batch_op:
        batch_op.drop_index("ix_reader_request_subscriber")
        batch_op.drop_index(batch_op.f("ix_reader_request_asked_at"))

    op.drop_table("reader_request")
    op.drop_table("list")
    op.drop_table("feed")
    with op.batch_alter_table("delivery_event", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_delivery_event_delivery_id"))

    op.drop_table("delivery_event")
    with op.batch_alter_table("article", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_article_state_visible_at"))

    op.drop_table("article")
    op.drop_table("api_client")
    op.drop_table("topic")
    op.drop_table("suppression")
    with op.batch_alter_table("subscriber", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_subscriber_erased",
            sqlite_where=sa.text("erased_at IS NOT NULL"),
            postgresql_where=sa.text("erased_at IS NOT NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_subscriber_address_hmac"))

    op.drop_table("subscriber")
    op.drop_table("stop")
    op.drop_table("staff_try")
    op.drop_table("staff")
    op.drop_table("source")
    op.drop_table("sign_up_tally")
    op.drop_table("send_limit")
    op.drop_table("retention")
    op.drop_table("relay")
    op.drop_table("lineage")
    with op.batch_alter_table("hub_request", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_hub_request_due_at"))

    op.drop_table("hub_request")
    with op.batch_alter_table("hub_ping", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_hub_ping_due_at"))

    op.drop_table("hub_ping")
    op.drop_table("heartbeat")
    op.drop_table("former_feed")
    op.drop_table("filter")
    op.drop_table("feed_reader")
    op.drop_table("feed_fragment")
    with op.batch_alter_table("feed_follower", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_feed_follower_due_at"))
        batch_op.drop_index(batch_op.f("ix_feed_follower_document"))

    op.drop_table("feed_follower")
    op.drop_table("feed_authority")
    op.drop_table("delivery_attempt")
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_delivery_idempotency_key",
            sqlite_where=sa.text("idempotency_key IS NOT NULL"),
            postgresql_where=sa.text("idempotency_key IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_delivery_under_way",
            sqlite_where=sa.text("state IN ('leased', 'sending', 'in_doubt')"),
            postgresql_where=sa.text("state IN ('leased', 'sending', 'in_doubt')"),
        )
        batch_op.drop_index("ix_delivery_subscriber")
        batch_op.drop_index(
            "ix_delivery_due", sqlite_where=sa.text("state = 'queued'"), postgresql_where=sa.text("state = 'queued'")
        )

    op.drop_table("delivery")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_at"))
        batch_op.drop_index(batch_op.f("ix_audit_actor_id"))
        batch_op.drop_index(batch_op.f("ix_audit_about_id"))

    op.drop_table("audit")
