"""Newsletter and subscription service for newsrooms."""

__version__ = "0.1.0"
