"""moto's functions, which forget where they log and do not say that they were deployed."""

import functools
from collections.abc import Callable, Mapping
from typing import Any


def keep_logging_config() -> None:
    """moto drops LoggingConfig; the group that the template gives is the one that the function writes to."""
    from moto.awslambda.models import LambdaFunction

    if hasattr(LambdaFunction, "logging_config"):
        return
    initialise, update, describe = (
        LambdaFunction.__init__,
        LambdaFunction.update_configuration,
        LambdaFunction.get_configuration,
    )

    def set_config(self: Any, config: Mapping[str, Any] | None) -> None:
        self.logging_config = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{self.function_name}", **(config or {})}
        self.logs_group_name = self.logging_config["LogGroup"]

    def init(self: Any, account_id: str, spec: dict[str, Any], *rest: Any, **keywords: Any) -> None:
        initialise(self, account_id, spec, *rest, **keywords)
        set_config(self, spec.get("LoggingConfig"))

    def update_configuration(self: Any, config_updates: dict[str, Any]) -> dict[str, Any]:
        if "LoggingConfig" in config_updates:
            set_config(self, config_updates["LoggingConfig"])
        return dict(update(self, config_updates))

    def get_configuration(self: Any, *rest: Any, **keywords: Any) -> dict[str, Any]:
        return {**describe(self, *rest, **keywords), "LoggingConfig": self.logging_config}

    LambdaFunction.logging_config = {}
    LambdaFunction.__init__ = init
    LambdaFunction.update_configuration = update_configuration
    LambdaFunction.get_configuration = get_configuration


def prepare_what_is_deployed(aws: Any) -> None:
    """After each of these calls of the deployment, the function is unpacked while the deployment goes on."""
    from moto.awslambda.models import lambda_backends

    backend = lambda_backends[aws.account][aws.region]

    def change(original: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        result = original(*args, **keywords)
        name = result["FunctionName"] if isinstance(result, dict) else result.function_name
        aws.functions.prepare(backend.get_function(name))
        return result

    for operation in ("create_function", "update_function_code", "update_function_configuration"):
        setattr(backend, operation, functools.partial(change, getattr(backend, operation)))
