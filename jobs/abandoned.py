"""Ends runs in Dagster's records whose command was killed: a killed process cannot record that its run ended.

Not here: runs that Dagster launched itself, which its run monitoring ends.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import dagster as dg
from filelock import FileLock, Timeout

UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)

_LOCK_TAG = "driftlake/lock"


@contextmanager
def held_by_this_process(instance: dg.DagsterInstance) -> Iterator[dict[str, str]]:
    """The tags of a run that this process works on in the block.

    They name a file that the process has locked. The kernel lets go of the lock if the process is killed.
    """
    name = f"{uuid4()}.lock"
    place = _folder(instance) / name
    place.parent.mkdir(exist_ok=True)
    with FileLock(place):
        yield {_LOCK_TAG: name}
    place.unlink(missing_ok=True)


def end_abandoned_runs(instance: dg.DagsterInstance, job_name: str) -> None:
    """Record as failed every unfinished run whose process is gone. A run of another machine has no file here and is not changed."""
    for run in instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=list(UNFINISHED))):
        place = _folder(instance) / Path(run.tags.get(_LOCK_TAG, "")).name
        if not place.is_file():
            continue
        try:
            with FileLock(place, timeout=0):
                instance.report_run_failed(run, "The process of the run was killed. Run its days again.")
        except Timeout:
            continue
        place.unlink(missing_ok=True)


def _folder(instance: dg.DagsterInstance) -> Path:
    return Path(instance.root_directory) / "running"
