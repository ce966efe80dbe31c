"""The local AWS."""

import atexit
import functools
import gc
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import botocore.client
import botocore.hooks
import botocore.session
import botocore.useragent
import moto.core.models
import moto.core.responses
import moto.core.utils
from moto.core.serialize import XFormedAttributePicker

# All sessions share the models of services, megabytes of JSON that each would read itself: moto makes dozens of
# sessions while it is imported, and tests make one each.
vars(botocore.session)["create_loader"] = functools.cache(botocore.session.create_loader)
# moto's own are other models: it adds to those of botocore. It would look through the folders of all services for each.
vars(moto.core.utils)["create_loader"] = functools.cache(moto.core.utils.create_loader)

# Each mock_aws makes a response for each address of every service and method, 1,300 of them, which are always the same.
vars(moto.core.models)["CallbackResponse"] = functools.cache(moto.core.models.CallbackResponse)


_signature_accepts_kwargs: Callable[[Any], Any] = vars(botocore.hooks)["accepts_kwargs"]


def _accepts_kwargs(handler: Any) -> bool:
    """Whether a handler takes any keyword: botocore makes its signature for that, 130 times for a session."""
    code = getattr(handler, "__code__", None)
    return bool(code.co_flags & inspect.CO_VARKEYWORDS if code else _signature_accepts_kwargs(handler))


vars(botocore.hooks)["accepts_kwargs"] = _accepts_kwargs

_creator: Any = botocore.client.ClientCreator
_node_list: Any = botocore.hooks.NodeList
_models: dict[int, Any] = {}
_methods: dict[Any, dict[str, Any]] = {}


def _model_of_service(description: dict[str, Any], service_name: str, make: Any = botocore.client.ServiceModel) -> Any:
    """The model that each client of a service makes of the same description, with all that it has looked up."""
    if id(description) not in _models:
        _models[id(description)] = make(description, service_name)  # which keeps the description, and so its id
    return _models[id(description)]


def _methods_of_client(creator: Any, model: Any, make: Any = _creator._create_methods) -> Any:
    """The methods of each client of a service, one for each operation: ec2 has 800."""
    if model not in _methods:
        _methods[model] = make(creator, model)
    return dict(_methods[model])


def _copy_of_handlers(hooks: Any, node: dict[str, Any]) -> dict[str, Any]:
    """The handlers of a session, which each client copies, node by node."""
    return {
        key: _node_list(*map(list, value))
        if isinstance(value, _node_list)
        else hooks._recursive_copy(value)
        if isinstance(value, dict)
        else value
        for key, value in node.items()
    }


vars(botocore.client)["ServiceModel"] = _model_of_service
_creator._create_methods = _methods_of_client
vars(botocore.hooks)["_PrefixTrie"]._recursive_copy = _copy_of_handlers

# Each session and client looks for the alias of an event's name once more.
_aliaser: Any = botocore.hooks.EventAliaser
_alias_of = functools.cache(_aliaser(None)._alias_event_name)
_aliaser._alias_event_name = lambda _, name: _alias_of(name)

# Each request has its user agent made of the same parts, letter by letter.
vars(botocore.useragent)["sanitize_user_agent_string_component"] = functools.lru_cache(maxsize=1_000)(
    botocore.useragent.sanitize_user_agent_string_component
)

# It looks through a class for the names of its methods at each call.
vars(moto.core.responses)["method_names_from_class"] = functools.cache(moto.core.responses.method_names_from_class)

# Models and moto's modules are half a million objects that stay. To go through them after every two thousand new ones
# takes a sixth of the time of a processor, and once more at the end of a process half a second.
gc.set_threshold(100_000)
atexit.register(gc.freeze)


def _names_of_members(names: Any = XFormedAttributePicker.get_possible_keys) -> Any:
    """moto's names for a member of an answer in its objects: the same each time for a member and a class."""

    def known(picker: Any, context: Any) -> Iterable[str]:
        by_class = vars(context.shape).setdefault("names in moto", {})
        kind = type(context.obj)
        if kind not in by_class:
            by_class[kind] = tuple(dict.fromkeys(names(picker, context)))
        found: Iterable[str] = by_class[kind]
        return found

    return known


XFormedAttributePicker.get_possible_keys = _names_of_members()
