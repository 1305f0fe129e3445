"""The contracts in force: the rules of this package with the severities that driftlake.yaml gives them.

Not here: the rules themselves, and checking rows against them (`driftlake.contract`).
"""

from dataclasses import replace

from driftlake.config import Settings
from driftlake.contract.row_checks import Contract, Contracts, in_force
from driftlake.contract.suite_files import read_suites
from driftlake.errors import ConfigurationError
from expectations import labels, telemetry, training


def sample_contracts(settings: Settings) -> Contracts | None:
    """The rules for single files: without rules about whole days, and with a search for repeated predictions in the file."""
    found = contracts(settings)
    if found is None:
        return None
    rules = [telemetry.unique_in_file(rule) for rule in found.telemetry.rules]
    return replace(found, telemetry=replace(found.telemetry, rules=rules))


def contracts(settings: Settings) -> Contracts | None:
    """The contracts of the inputs, with the user's suites; None if contracts are switched off.

    Raises ConfigurationError if a severity is given to a rule that does not exist, or a suite cannot be used.
    """
    severities = settings.contracts.severities
    if not settings.contracts.enabled:
        return None
    keys, suites = settings.pseudonym_keys, read_suites(settings)
    of_training = [*training.RULES, training.enough_rows(settings.drift.minimum_rows)]
    of_telemetry = [*telemetry.RULES, *([telemetry.user_key_id_is_valid(keys)] if keys else [])]
    names = [rule.name for rule in (*of_telemetry, *labels.RULES, *of_training)]
    if unknown := sorted(severities.keys() - set(names)):
        raise ConfigurationError(
            f"contracts.severities: there is no rule {', '.join(unknown)}",
            hint=f"there are {', '.join(dict.fromkeys(names))}",
        )
    of_labels = settings.labels.columns if settings.labels else {}
    return Contracts(
        Contract(
            "telemetry",
            "telemetry",
            "predictions",
            in_force(of_telemetry, severities),
            suites["telemetry"],
            settings.telemetry.columns,
        ),
        Contract("labels", "checked_labels", "labels", in_force(labels.RULES, severities), suites["labels"], of_labels),
        Contract("training", "training_rows", "training_rows", in_force(of_training, severities), suites["training"]),
    )
