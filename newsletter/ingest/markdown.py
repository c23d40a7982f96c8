"""Markdown with YAML front matter: one article a file."""

import re
from collections.abc import Mapping
from typing import Any

import yaml
from markdown_it import MarkdownIt

from newsletter.domain.drafts import Draft, UnusableError
from newsletter.ingest.decoding import decode
from newsletter.ingest.document import Document, collect
from newsletter.ingest.fields import Defaults, FieldReader
from newsletter.ingest.markup import text_of_markup

LARGEST_FRONT_MATTER = 64 * 1024
_FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\n(?P<matter>.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_TITLE = re.compile(r"\A\s*#[ \t]+(?P<title>[^\n]+)(?:\n|\Z)")
_MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def render(markdown: str) -> str:
    """Return the HTML of *markdown*; HTML in it comes through and must be sanitised."""
    return str(_MARKDOWN.render(markdown))


def read_markdown(content: bytes, defaults: Defaults) -> Document:
    """Read one article: its fields in the front matter, its body below; a first heading `# ...` is the title.

    Raises:
        InvalidError: it is no text.
    """
    decoded = decode(content)
    text = decoded.text.replace("\r\n", "\n").replace("\r", "\n")
    return collect([("", lambda: _read(text, defaults))], [decoded.warning] if decoded.warning else [])


def _read(text: str, defaults: Defaults) -> Draft:
    match = _FRONT_MATTER.match(text)
    fields = dict(read_yaml_mapping(match["matter"])) if match else {}
    body = text[match.end() :] if match else text
    if not fields.get("title") and (heading := _TITLE.match(body)):
        fields["title"] = text_of_markup(render(heading["title"].rstrip(" \t#")))
        body = body[heading.end() :]
    for name in ("paragraphs", "html", "markdown"):
        if fields.pop(name, None) is not None:
            raise UnusableError(f"{name}: the body stands below the front matter")
    return FieldReader(defaults, render).read({**fields, "markdown": body})


def read_yaml_mapping(text: str) -> Mapping[str, Any]:
    """Read YAML fields.

    Raises:
        UnusableError: it is longer than 64 KB, no valid YAML, refers back to itself, or holds no fields.
    """
    if len(text) > LARGEST_FRONT_MATTER:
        raise UnusableError(f"front matter: {len(text):,} characters; at most {LARGEST_FRONT_MATTER:,} are taken")
    value = read_yaml(text)
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise UnusableError("front matter: must be fields like `title: ...`, one a line")
    return value


def read_yaml(text: str) -> Any:
    """Read plain YAML: no anchors, no types of a program's own.

    Raises:
        UnusableError: it is not that; the message names the line.
    """
    try:
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506  it is a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UnusableError(f"no valid YAML: {error.problem or error.context}{line}") from error
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        raise UnusableError(f"no valid YAML: {error}") from error


class _PlainLoader(yaml.SafeLoader):
    """Refuses anchors, by which a short text unfolds into an endless one, and a key given twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(problem="aliases are not taken")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        names = [key.value for key, _ in node.value]
        for position, (key, _) in enumerate(node.value):
            if key.value in names[:position]:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands twice", key.start_mark)
        return super().construct_mapping(node, deep=deep)
