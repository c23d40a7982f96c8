"""Mailed links: reads the token in an address, and makes the ones that pages of one reader lead to."""

from starlette.responses import Response

from newsletter.errors import NotFoundError
from newsletter.mail.tokens import TokenPurpose, TokenSigner
from newsletter.web.visits import View, Visit


def private(view: View) -> View:
    """Return *view* with answers that nobody keeps and no search engine lists."""

    def answer(visit: Visit) -> Response:
        response = view(visit)
        response.headers["cache-control"] = "no-store"
        response.headers["x-robots-tag"] = "noindex"
        return response

    return answer


def read_token(visit: Visit, purpose: TokenPurpose) -> str:
    """
    Return the uid of the subscription that the token in the address names.

    Raises:
        NotFoundError: it was not made here, or for something else.
    """
    uid = _signer(visit).read(purpose, visit.request.path_params["token"])
    if uid is None:
        raise NotFoundError("this link was not made here")
    return uid


def link_to(visit: Visit, purpose: TokenPurpose, uid: str) -> str:
    """Return the address by which a reader does something about their subscription."""
    return visit.link(f"/{purpose}/{_signer(visit).sign(purpose, uid)}")


def _signer(visit: Visit) -> TokenSigner:
    return TokenSigner(visit.app.settings.secret, visit.app.settings.retired_secrets)
