"""Golden files: a digest of fixed data, reviewed as a diff. Write anew: pytest tests/rendering --update-golden."""

import pytest
from sample_digest import NONCE, a_digest, a_variant, filled_html, filled_text

from newsletter.rendering.email import render_digest


@pytest.mark.parametrize("code", ["en", "ru", "ky"])
def test_the_digest_is_as_it_was_reviewed(golden, code):
    digest = a_digest(code)
    blocks = render_digest(digest, NONCE)
    html = filled_html(digest, blocks, a_variant(digest))

    golden(f"digest.{code}.html", html.replace("<tr>", "\n<tr>") + "\n")  # a line a row, so that a diff can be read
    golden(f"digest.{code}.txt", filled_text(digest, blocks, a_variant(digest)))
