"""The demo's calendar: when its five weeks of news begin and end, and where its readers' mail starts."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Bishkek")
BEGINNING = datetime(2025, 9, 1, tzinfo=ZONE).astimezone(UTC)
"""A Monday; the oldest article appears on it."""
FORTNIGHT = datetime(2025, 9, 22, tzinfo=ZONE).astimezone(UTC)
"""From here on every day's post and every press release are sent; before, the weekly digests only."""
END = datetime(2025, 10, 6, 8, 5, tzinfo=ZONE).astimezone(UTC)
"""A Monday too, five minutes after the last weekly digest; from here the demo's clock runs on."""
