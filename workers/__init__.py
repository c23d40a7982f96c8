"""Celery app, thin tasks and the tick; nobody imports this package."""
