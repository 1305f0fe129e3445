"""The Spark session: its requirements, its start, and its errors as one sentence.

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
_PATIENCE_SECONDS = 5
_DEFAULT_PORT = 7077
# Settings of every session, unless the configuration has others.
_CONF = {
    "spark.app.name": "driftlake",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
}
# The last line of a Python traceback, also of a worker.
_RAISED = re.compile(r"^\s*(?:\w+\.)*\w*(?:Error|Exception|Invalid): (.+)$", re.MULTILINE)


def require(settings: SparkSettings) -> None:
    """Raise EngineError if pyspark or Java is missing or the master does not answer; nothing is started."""
    _require_pyspark()
    _require_java()
    _require_master(settings.master)


def session(settings: SparkSettings) -> SparkSession:
    """The session of this process, started on first use. Raises EngineError if it does not start."""
    from pyspark.sql import SparkSession

    if (active := SparkSession.getActiveSession()) is not None:
        return active
    warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")
    # workers use the path of this interpreter unless the environment names another
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
    """Turn errors of Spark in the block into an EngineError with the error of the worker or of Spark itself."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise EngineError(
            f"Spark at {settings.master} gave up: {_reason(error)}",
            hint="see the logs of the executors",
        ) from error


def _reason(error: Exception) -> str:
    """The exception of a worker if there was one, else the first line."""
    raised = _RAISED.findall(str(error))
    return str(raised[0]) if raised else next(iter(str(error).splitlines()), type(error).__name__)


def _require_pyspark() -> None:
    """Raise EngineError unless pyspark is there and whole; it is not imported, because that takes a second.

    A folder that is left of it can be imported, and only the days of a run would say what it lacks.
    """
    install = "pip install 'driftlake[spark]', on this machine and on the workers"
    found = importlib.util.find_spec("pyspark")
    if found is None:
        raise EngineError("engine: spark needs pyspark, which is not installed", hint=install)
    folders = list(found.submodule_search_locations or ())
    if found.origin is None or PathFinder.find_spec("pyspark.version", folders) is None:
        raise EngineError(
            f"engine: spark needs pyspark, of which only a part is left in {', '.join(folders)}",
            hint=f"remove what is left, then {install}",
        )


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    hint = f"install Java {_OLDEST_JAVA} or later, and set JAVA_HOME or put java on PATH"
    if java is None or not Path(java).is_file():
        where = f"JAVA_HOME is {home}, which has no bin/java" if home else "JAVA_HOME is not set and no java is on PATH"
        raise EngineError(f"engine: spark needs Java, which was not found: {where}", hint=hint)
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)  # noqa: S603  # Spark runs it, too
    found = re.search(r'version "(\d+)', told.stderr)
    if found is None or int(found[1]) < _OLDEST_JAVA:
        said = next(iter(told.stderr.splitlines()), "nothing")
        raise EngineError(f"engine: spark needs Java {_OLDEST_JAVA} or later; {java} -version says {said}", hint=hint)


def _require_master(master: str) -> None:
    """Raise EngineError if nothing listens at the address of the master; Spark itself would try for a minute."""
    if master == "yarn" and not (os.environ.get("HADOOP_CONF_DIR") or os.environ.get("YARN_CONF_DIR")):
        raise EngineError(
            "spark.master is yarn, and neither HADOOP_CONF_DIR nor YARN_CONF_DIR is set",
            hint="set one of them to the folder of the cluster's configuration",
        )
    failures = []
    for host, port in _addresses(master):
        try:
            socket.create_connection((host, port), _PATIENCE_SECONDS).close()
        except OSError as error:
            failures.append(f"{host}:{port}: {error.strerror or error}")
        else:
            return
    if failures:
        raise EngineError(
            f"the Spark master {master} cannot be reached ({'; '.join(failures)})",
            hint="start it, or correct spark.master in driftlake.yaml",
        )


def _addresses(master: str) -> list[tuple[str, int]]:
    """Addresses of a master; standby masters follow after commas."""
    if master.startswith("spark://"):
        urls, port = [f"//{address}" for address in master.removeprefix("spark://").split(",")], _DEFAULT_PORT
    elif master.startswith("k8s://"):
        address = master.removeprefix("k8s://")
        urls, port = [address if "://" in address else f"//{address}"], 443
    else:
        return []
    parts = [urlsplit(url) for url in urls]
    return [(part.hostname or "", part.port or port) for part in parts]
