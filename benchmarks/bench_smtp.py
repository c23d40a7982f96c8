"""Sending: Celery workers with every promise of the ledger kept, against Postfix's load generator in C."""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.baselines import average_bytes, sample_mails, send_with_smtplib
from benchmarks.edition import LARGE, SMALL, Size, fan_out
from benchmarks.measures import Goal, Row, interleave
from benchmarks.run import Run
from benchmarks.service import Edition, Postfix, Stage, find_postfix, sink, stage, worker
from newsletter.config import Settings
from newsletter.mail.dkim_keys import KeyKind, make_key, save_key

READERS = 50_000
SMALL_ROUND = 50_000
"""Mails of 8 KB in a round; there are a few more readers, since not all chose something of the week."""
LARGE_ROUND = 25_000
REFERENCE_ROUND = 10_000
CONNECTIONS = 10
"""Of each process; as many as smtp-source has, a few more than a relay is given unless it says otherwise."""
REFERENCE = "smtp-source -d -s 10"
WITHOUT_POSTFIX = "smtplib, connection kept (smtp-source is not installed)"
GOALS = {
    (LARGE, "unsigned"): Goal(0.9, 1.2),
    (LARGE, "RSA-2048"): Goal(0.6, 0.9),
    (LARGE, "Ed25519 + RSA-2048"): Goal(0.5, 0.8),
    (SMALL, "unsigned"): Goal(0.5, 1.0),
}


def run(run: Run) -> Iterator[Row]:
    """Send an edition of large mails in three ways and one of small mails; compare within rounds."""
    with stage() as here:
        keys = _keys(here.folder)
        yield from _send(run, here, LARGE, keys, mails=run.scaled(LARGE_ROUND))
        yield from _send(run, here, SMALL, {"unsigned": ()}, mails=run.scaled(SMALL_ROUND))


def _keys(folder: Path) -> dict[str, tuple[tuple[str, Path], ...]]:
    """Return the settings of dkim_keys by what a mail is signed with."""
    paths = {kind: folder / f"{kind}.pem" for kind in KeyKind}
    for kind, path in paths.items():
        save_key(make_key(kind), path)
    rsa, ed25519 = ((kind.value, paths[kind]) for kind in (KeyKind.RSA, KeyKind.ED25519))
    return {"unsigned": (), "RSA-2048": (rsa,), "Ed25519 + RSA-2048": (ed25519, rsa)}


def _send(
    run: Run, here: Stage, size: Size, keys: dict[str, tuple[tuple[str, Path], ...]], *, mails: int
) -> Iterator[Row]:
    name = "large" if size is LARGE else "small"
    here.make_database(name)
    base = here.settings(name)
    fan_out(base, size, run.scaled(READERS * 5 // 4), folder=here.folder)
    edition = Edition(base.database_url)
    samples = sample_mails(edition, base)
    postfix = find_postfix()
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(postfix.running_sink() if postfix else sink())
        candidates = {"reference": _reference(run, postfix, port, samples)}
        for number, (signed, files) in enumerate(keys.items(), start=1):
            url = f"smtp://127.0.0.1:{port}?tls=off&connections={CONNECTIONS}"
            settings = here.settings(name, smtp_url=url, broker=number, dkim_keys=files)
            stack.enter_context(worker(settings))
            edition.queue(run.scaled(2_000))
            edition.send(settings)  # so that all has been imported and prepared once
            candidates[signed] = partial(_round, edition, settings, mails)
        found = interleave(candidates, run.rounds)
    against = REFERENCE if postfix else WITHOUT_POSTFIX
    for signed in keys:
        yield Row(
            run.bench,
            f"{size.name}, {signed}, against {against}",
            found.ratios(signed, "reference"),
            GOALS[size, signed] if postfix else None,
            figures=f"{found.median(signed):,.0f} mails/s against {found.median('reference'):,.0f}; "
            f"{edition.variants} variants, {average_bytes(samples):,.0f} bytes a mail",
        )


def _round(edition: Edition, settings: Settings, mails: int) -> float:
    edition.queue(mails)
    return edition.send(settings)


def _reference(run: Run, postfix: Postfix | None, port: int, samples: list[bytes]) -> Callable[[], float]:
    mails = run.scaled(REFERENCE_ROUND)
    if postfix:
        return partial(postfix.rate, port, mails, round(average_bytes(samples)))
    return partial(send_with_smtplib, port, samples, mails // 10)
