"""A real RabbitMQ for tests, where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.integration.relay import free_port
from tests.integration.worker import until

from vidsearch.local.process import spawn

__all__ = ["PASSWORD", "running_rabbitmq"]

PASSWORD = "hunter2/secret"


@contextmanager
def running_rabbitmq(folder: Path, *settings: str) -> Iterator[str]:
    """The URL of a RabbitMQ with further lines of ``rabbitmq.conf``; skips where there is none."""
    program = shutil.which("rabbitmq-server", path=f"/usr/lib/rabbitmq/bin:{os.environ['PATH']}")
    if program is None:
        pytest.skip("rabbitmq-server is not installed (Debian: apt-get install rabbitmq-server)")
    port, epmd_port, log = free_port(), str(free_port()), folder / "rabbitmq.log"
    conf = folder / "rabbitmq.conf"
    lines = (
        f"listeners.tcp.1 = 127.0.0.1:{port}",
        "default_user = me",
        f"default_pass = {PASSWORD}",
        "log.console = true",
        *settings,
    )
    conf.write_text("".join(f"{line}\n" for line in lines))
    own = {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"test-{port}@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "ERL_EPMD_PORT": epmd_port,
        "RABBITMQ_CONFIG_FILE": str(conf),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_LOGS": "-",
        # How often it looks for messages that were not acknowledged in time; by default a minute.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-rabbit channel_tick_interval 1000",
        "ERL_CRASH_DUMP": str(folder / "erl_crash.dump"),
    }
    process = spawn([program], log=log, env={**os.environ, **own}, bound=True)
    try:
        until(lambda: "startup complete" in log.read_text(), what="RabbitMQ runs")
        yield f"amqp://me:{PASSWORD.replace('/', '%2F')}@127.0.0.1:{port}//"
    finally:
        process.stop()
        # Erlang's name server outlives the node that started it.
        subprocess.run(["epmd", "-port", epmd_port, "-kill"], capture_output=True, check=False)
