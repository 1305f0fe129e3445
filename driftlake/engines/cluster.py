"""The Spark session: checks what it needs, starts it, and turns its errors into one sentence.

Not here: the work that Spark does (`driftlake.engines.spark`).
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from driftlake.config import SparkSettings
from driftlake.errors import EngineError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_OLDEST_JAVA = 17
_CONNECT_TIMEOUT_SECONDS = 5
_DEFAULT_PORT = 7077
# Defaults of every session; `spark.conf` in the configuration overrides them.
_CONF = {
    "spark.app.name": "driftlake",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
}
# The last line of a Python traceback, here or in a worker.
_RAISED = re.compile(r"^\s*(?:\w+\.)*\w*(?:Error|Exception|Invalid): (.+)$", re.MULTILINE)


def require(settings: SparkSettings) -> None:
    """Raise EngineError if pyspark or Java is missing or the master does not answer. Nothing is started."""
    _require_pyspark()
    _require_java()
    _require_master(settings.master)


def session(settings: SparkSettings) -> SparkSession:
    """The session of this process, started on first use. Raises EngineError if it does not start."""
    from pyspark.sql import SparkSession

    if (active := SparkSession.getActiveSession()) is not None:
        return active
    warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")
    # workers run this Python interpreter, unless the environment names another one
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if settings.master.startswith("local"):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.master(settings.master)
    for name, value in {**_CONF, **settings.conf}.items():
        builder = builder.config(name, value)
    with errors_of(settings):
        started = builder.getOrCreate()
    started.sparkContext.setLogLevel("ERROR")
    atexit.register(started.stop)
    return started


@contextmanager
def errors_of(settings: SparkSettings) -> Iterator[None]:
    """Turn a Spark error in the block into an EngineError with the message of the worker, or of Spark itself."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise EngineError(
            f"Spark at {settings.master} failed: {_reason(error)}",
            hint="see the logs of the executors",
        ) from error


def _reason(error: Exception) -> str:
    """The message of the exception in a worker, if there was one; otherwise the first line of the error."""
    raised = _RAISED.findall(str(error))
    return str(raised[0]) if raised else next(iter(str(error).splitlines()), type(error).__name__)


def _require_pyspark() -> None:
    """Raise EngineError unless pyspark is installed completely. It is not imported, because that takes a second.

    An incomplete folder of pyspark can be imported as a package. Without this check, every day of a run would fail.
    """
    install = "pip install 'driftlake[spark]', on this machine and on the workers"
    found = importlib.util.find_spec("pyspark")
    if found is None:
        raise EngineError("engine: spark needs pyspark, which is not installed", hint=install)
    folders = list(found.submodule_search_locations or ())
    if found.origin is None or PathFinder.find_spec("pyspark.version", folders) is None:
        raise EngineError(
            f"engine: spark needs pyspark, but only a part of it is installed in {', '.join(folders)}",
            hint=f"remove this folder, then {install}",
        )


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    hint = f"install Java {_OLDEST_JAVA} or later, and set JAVA_HOME or put java on PATH"
    if java is None or not Path(java).is_file():
        where = f"JAVA_HOME is {home}, which has no bin/java" if home else "JAVA_HOME is not set and no java is on PATH"
        raise EngineError(f"engine: spark needs Java, which was not found: {where}", hint=hint)
    version = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)  # noqa: S603  # Spark runs the same program
    found = re.search(r'version "(\d+)', version.stderr)
    if found is None or int(found[1]) < _OLDEST_JAVA:
        printed = next(iter(version.stderr.splitlines()), "nothing")
        raise EngineError(
            f"engine: spark needs Java {_OLDEST_JAVA} or later; {java} -version prints: {printed}", hint=hint
        )


def _require_master(master: str) -> None:
    """Raise EngineError if nothing listens at the address of the master, because Spark itself would try for a minute."""
    if master == "yarn" and not (os.environ.get("HADOOP_CONF_DIR") or os.environ.get("YARN_CONF_DIR")):
        raise EngineError(
            "spark.master is yarn, but neither HADOOP_CONF_DIR nor YARN_CONF_DIR is set",
            hint="set one of them to the folder of the cluster's configuration",
        )
    failures = []
    for host, port in _addresses(master):
        try:
            socket.create_connection((host, port), _CONNECT_TIMEOUT_SECONDS).close()
        except OSError as error:
            failures.append(f"{host}:{port}: {error.strerror or error}")
        else:
            return
    if failures:
        raise EngineError(
            f"the Spark master {master} cannot be reached ({'; '.join(failures)})",
            hint="start the master, or correct spark.master in driftlake.yaml",
        )


def _addresses(master: str) -> list[tuple[str, int]]:
    """Hosts and ports of a master and of its standby masters, which are separated by commas."""
    if master.startswith("spark://"):
        urls, port = [f"//{address}" for address in master.removeprefix("spark://").split(",")], _DEFAULT_PORT
    elif master.startswith("k8s://"):
        address = master.removeprefix("k8s://")
        urls, port = [address if "://" in address else f"//{address}"], 443
    else:
        return []
    parts = [urlsplit(url) for url in urls]
    return [(part.hostname or "", part.port or port) for part in parts]
