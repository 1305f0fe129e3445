"""Looks up known vulnerabilities of what the lock files install: `python .ci/audit.py requirements.lock ...`.

Exit code 0: none is known. 1: some are, and each is printed. 2: not every package could be looked up, so the answer is
unknown. pip-audit alone ends with 0 if its source does not know a package.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_PIP_AUDIT = "pip-audit==2.10.1"
# The package index tells advisories, too; if it is a mirror that does not, ask OSV.
_SOURCES = ("pypi", "osv")
_FOUND, _UNKNOWN = 1, 2


def main(locks: list[str]) -> int:
    """Print what is known, and return the exit code."""
    reasons = []
    for source in _SOURCES:
        packages, error = _asked(source, locks)
        skipped = [package["skip_reason"] for package in packages if "skip_reason" in package]
        found = [(package, each) for package in packages for each in package.get("vulns", ())]
        for package, each in found:
            fixed = ", ".join(each["fix_versions"]) or "none"
            print(f"{package['name']} {package['version']}: {each['id']}, fixed in {fixed}")
        if found:
            return _FOUND
        if packages and not skipped:
            print(f"{len(packages)} packages, no known vulnerability ({source})")
            return 0
        reasons.append(f"{source}: {f'{len(skipped)} of {len(packages)} packages unknown' if skipped else error}")
    print(f"the audit has no answer, no source of advisories is reachable: {'; '.join(reasons)}", file=sys.stderr)
    return _UNKNOWN


def _asked(source: str, locks: list[str]) -> tuple[list[dict[str, object]], str]:
    """The packages with their vulnerabilities, or why there is no answer."""
    uv = Path(sys.executable).with_name("uv")
    options = ["--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
    files = [option for lock in locks for option in ("--requirement", lock)]
    command = [uv, "tool", "run", "--quiet", _PIP_AUDIT, *options, "--vulnerability-service", source, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)["dependencies"], ""
    except (ValueError, KeyError):
        return [], (done.stderr.strip().splitlines() or ["no answer"])[-1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
