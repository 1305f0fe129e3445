"""The finding that the files of an input have to be imported, with a mapping that is proposed for them.

Not here: recognising the files (`driftlake.inputs.importable_files`), and what is proposed (`driftlake.connect`).
"""

from __future__ import annotations

from pathlib import Path

from driftlake.errors import DriftlakeError
from driftlake.inputs.importable_files import Importable
from driftlake.setup.findings import Finding


def import_needed(subject: str, found: Importable) -> Finding:
    """The finding; without a mapping if the files are not sufficient for one."""
    if mapping := _proposed(found) if found.is_local else None:
        return Finding(subject, False, f"{found.sentence}; a mapping could be\n{mapping}", found.hint)
    also = "; the command also needs the files with the predictions" if found.kind == "otlp" else ""
    return Finding(subject, False, found.sentence, found.hint + also)


def _proposed(found: Importable) -> str | None:
    paths = [Path(path) for path in found.paths]
    try:
        # only who has such files waits for the import
        if found.kind == "feast":
            from driftlake.connect import feast_proposal

            return feast_proposal.propose(paths, has_predictions=False).rstrip()
        from driftlake.connect import otlp_proposal

        return otlp_proposal.propose(paths).rstrip()
    except DriftlakeError:
        return None
