"""The contracts in force: the rules of this package with the severities that driftlake.yaml gives them."""

from driftlake.config import ContractSettings
from driftlake.contracts import Contract, Contracts, in_force
from driftlake.errors import ConfigurationError
from expectations import labels, telemetry


def contracts(settings: ContractSettings) -> Contracts | None:
    """What is promised about the inputs; None if contracts are switched off.

    Raises ConfigurationError if a severity is given to a rule that does not exist.
    """
    if not settings.enabled:
        return None
    names = [rule.name for rule in (*telemetry.RULES, *labels.RULES)]
    if unknown := sorted(settings.severities.keys() - set(names)):
        raise ConfigurationError(
            f"contracts.severities: there is no rule {', '.join(unknown)}",
            hint=f"there are {', '.join(dict.fromkeys(names))}",
        )
    return Contracts(
        Contract("telemetry", "telemetry", "predictions", in_force(telemetry.RULES, settings.severities)),
        Contract("labels", "checked_labels", "labels", in_force(labels.RULES, settings.severities)),
    )
