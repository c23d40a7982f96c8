"""The processes that read documents end with the worker that started them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = """
import os
from celery.signals import worker_process_shutdown

from newsletter.ingest.aside import SECONDS, aside
from workers import app

print(aside(os.getpid, SECONDS), flush=True)
worker_process_shutdown.send(sender=None, pid=os.getpid(), exitcode=0)
os._exit(0)
"""
"""What a process of a worker comes to when it is asked to stop, or has answered enough doorbells."""


@pytest.mark.slow
def test_a_worker_s_process_that_ends_takes_its_reader_along(tmp_path):
    told = {
        "NEWSLETTER_BROKER_URL": "redis://no-test-may-reach-this:6379/0",
        "NEWSLETTER_DATABASE_URL": "postgresql://no-test-may-reach-this/newsletter",
        "NEWSLETTER_SECRET_KEY": "0123456789abcdef" * 4,
        "NEWSLETTER_HOME": str(tmp_path),
    }
    command = [sys.executable, "-c", CHILD]
    done = subprocess.run(command, env={**os.environ, **told}, capture_output=True, text=True, check=True, timeout=60)

    assert not Path(f"/proc/{int(done.stdout)}").exists()
