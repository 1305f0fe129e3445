"""The contracts in force: the rules of this package with the severities that driftlake.yaml gives them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from driftlake.config import ContractSettings, PseudonymKey
from driftlake.contracts import Contract, Contracts, in_force
from driftlake.errors import ConfigurationError
from driftlake.suite_files import OwnExpectation
from expectations import labels, telemetry


def sample_contracts(
    settings: ContractSettings,
    keys: Sequence[PseudonymKey] = (),
    suites: Mapping[str, Sequence[OwnExpectation]] | None = None,
) -> Contracts | None:
    """What is promised about single files: no promise of whole days, and repeated predictions looked for in the file."""
    found = contracts(settings, keys, suites)
    if found is None:
        return None
    rules = [telemetry.unique_in_file(rule) for rule in found.telemetry.rules]
    return replace(found, telemetry=replace(found.telemetry, rules=rules))


def contracts(
    settings: ContractSettings,
    keys: Sequence[PseudonymKey] = (),
    suites: Mapping[str, Sequence[OwnExpectation]] | None = None,
) -> Contracts | None:
    """What is promised about the inputs: pseudonyms come from `keys`, users add `suites`; None if contracts are switched off.

    Raises ConfigurationError if a severity is given to a rule that does not exist.
    """
    if not settings.enabled:
        return None
    of_telemetry = [*telemetry.RULES, *([telemetry.user_key_id_is_valid(keys)] if keys else [])]
    names = [rule.name for rule in (*of_telemetry, *labels.RULES)]
    if unknown := sorted(settings.severities.keys() - set(names)):
        raise ConfigurationError(
            f"contracts.severities: there is no rule {', '.join(unknown)}",
            hint=f"there are {', '.join(dict.fromkeys(names))}",
        )
    return Contracts(
        Contract(
            "telemetry",
            "telemetry",
            "predictions",
            in_force(of_telemetry, settings.severities),
            (suites or {}).get("telemetry", ()),
        ),
        Contract(
            "labels",
            "checked_labels",
            "labels",
            in_force(labels.RULES, settings.severities),
            (suites or {}).get("labels", ()),
        ),
    )
