"""Jinja2: finds templates, renders them with a language, and explains their mistakes in words.

Templates lie in `newsletter/_templates` of an installed package, else in the repository's `templates`. A newsroom may
lay its own over them in `<home>/templates`; there, `{% extends "shipped/..." %}` names the one that is overlaid.
"""

import traceback
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from jinja2.exceptions import SecurityError, TemplateNotFound, TemplateSyntaxError, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from newsletter.errors import InvalidError
from newsletter.rendering.languages import Language
from newsletter.rendering.plain import wrapped

PACKAGE = Path(__file__).resolve().parents[1]


def templates_folder() -> Path:
    """Return the folder of the templates that came with the program."""
    installed = PACKAGE / "_templates"
    return installed if installed.is_dir() else PACKAGE.parent / "templates"


def environment(home: Path | None = None) -> Environment:
    """Return the environment for the shipped templates under those in *home*; one without any shares the others'.

    Undefined names are errors; HTML is escaped; templates are sandboxed, since staff may edit them.
    """
    overlay = home / "templates" if home is not None else None
    return _environment(overlay if overlay is not None and overlay.is_dir() else None)


@lru_cache(maxsize=8)
def _environment(overlay: Path | None) -> Environment:
    """Make the environment once per process: compiling all templates takes a tenth of a second."""
    shipped = FileSystemLoader(templates_folder())
    loaders: list[BaseLoader] = [shipped, PrefixLoader({"shipped": shipped})]
    if overlay is not None:
        loaders.insert(0, FileSystemLoader(overlay))
    made = ImmutableSandboxedEnvironment(
        loader=ChoiceLoader(loaders),
        autoescape=_is_html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters["wrapped"] = wrapped
    return made


def render(name: str, language: Language, context: Mapping[str, Any], *, home: Path | None = None) -> str:
    """Render template *name* in *language*; the template also gets `language`, `_` and `ngettext`.

    Raises:
        InvalidError: the template does not exist, cannot be parsed, or uses a name that it is not given.
    """
    values = {"language": language, **_speech(language, is_html=_is_html(name)), **context}
    try:
        return environment(home).get_template(name).render(values)
    except TemplateNotFound as error:
        raise InvalidError(f"template {error.name} does not exist; put it into {_folders(home)}") from error
    except TemplateSyntaxError as error:
        raise InvalidError(f"template {error.name or name}, line {error.lineno}: {error.message}") from error
    except UndefinedError as error:
        raise InvalidError(
            f"template {_place(error, name, home)}: {error.message}. Correct the name in the template; "
            f"it is given: {', '.join(sorted(values))}"
        ) from error
    except SecurityError as error:
        raise InvalidError(f"template {_place(error, name, home)}: {error}; templates may only show values") from error
    except (TypeError, ValueError, LookupError, ArithmeticError) as error:
        raise InvalidError(f"template {_place(error, name, home)}: {error}") from error


def _is_html(name: str | None) -> bool:
    return name is not None and name.endswith((".html", ".css"))


def _speech(language: Language, *, is_html: bool) -> dict[str, Callable[..., str]]:
    """Return the two functions by which a template speaks; messages are plain text, so HTML escapes them too."""
    if not is_html:
        return {"_": language.gettext, "ngettext": language.ngettext}

    def gettext(message: str, /, **values: object) -> Markup:
        text = escape(language.gettext(message))
        return text % values if values else text

    def ngettext(singular: str, plural: str, count: int, /, **values: object) -> Markup:
        text = escape(language.plural(singular, plural, count))
        return text % {"count": language.format_number(count), **values}

    return {"_": gettext, "ngettext": ngettext}


def _folders(home: Path | None) -> str:
    return " or ".join(str(folder) for folder in (home and home / "templates", templates_folder()) if folder)


def _place(error: Exception, name: str, home: Path | None) -> str:
    """Say in which template and line *error* arose, as far as its traceback tells."""
    folders = [templates_folder(), *([home / "templates"] if home else [])]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        for folder in folders:
            if Path(frame.filename).is_relative_to(folder):
                return f"{Path(frame.filename).relative_to(folder).as_posix()}, line {frame.lineno}"
    return name
