"""The local AWS."""

import atexit
import functools
import gc
import inspect
from collections.abc import Callable, Iterable
from typing import Any

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
