"""Signs of life of the tick and the workers, in SQL."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.storage.base import Base


class HeartbeatRow(Base):
    """When something last did its work; the database's clock."""

    __tablename__ = "heartbeat"
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    at: Mapped[datetime]
