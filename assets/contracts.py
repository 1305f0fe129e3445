"""The contracts of expectations/ as the core wants them: a function from a session and days to outcomes."""

from driftlake import contracts
from driftlake.columns import LABEL_COLUMNS, TELEMETRY_COLUMNS
from driftlake.config import Settings
from driftlake.contracts import ContractChecker
from expectations.labels import labels_suite
from expectations.telemetry import telemetry_suite


def telemetry_contract(settings: Settings) -> ContractChecker | None:
    """Checker of the session's view `telemetry`; None if contracts are switched off."""
    columns = [*(column.name for column in TELEMETRY_COLUMNS), "is_known_version"]
    if not settings.contracts:
        return None
    keys = settings.pseudonyms.keys if settings.pseudonyms else ()
    return lambda connection, days: contracts.validate(
        connection, "telemetry", lambda: telemetry_suite(columns, keys=keys), source="telemetry", days=days
    )


def labels_contract(settings: Settings) -> ContractChecker | None:
    """Checker of the session's view `checked_labels`; None if contracts are switched off."""
    columns = [*(column.name for column in LABEL_COLUMNS), "is_countable"]
    if not settings.contracts:
        return None
    return lambda connection, days: contracts.validate(
        connection, "checked_labels", lambda: labels_suite(columns), source="labels", days=days
    )
