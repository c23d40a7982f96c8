"""The one family of errors this service raises; faces translate it in one table each.

Children are told apart by what the caller can do. They carry the words for a person: what is wrong, and the remedy.
"""


class NewsletterError(Exception):
    """Anything this service refuses or fails to do; str() says what and how to mend it."""


class NotFoundError(NewsletterError):
    """The thing named does not exist."""


class ConflictError(NewsletterError):
    """The thing exists already, or its state does not allow this."""


class InvalidError(NewsletterError):
    """What was given cannot be used: a value, a file, a template, a setting."""


class TransientError(NewsletterError):
    """It failed now and may work later: a relay, a network, a busy database."""


class PermanentError(NewsletterError):
    """It failed and will fail again until somebody changes something."""
