"""The local AWS."""

import functools
import gc
from collections.abc import Iterable
from typing import Any

import botocore.session
import moto.core.responses
import moto.core.utils
from moto.core.serialize import XFormedAttributePicker

# All sessions share the models of services, megabytes of JSON that each would read itself: moto makes dozens of
# sessions while it is imported, and tests make one each.
vars(botocore.session)["create_loader"] = functools.cache(botocore.session.create_loader)
# moto's own are other models: it adds to those of botocore. It would look through the folders of all services for each.
vars(moto.core.utils)["create_loader"] = functools.cache(moto.core.utils.create_loader)

# It looks through a class for the names of its methods at each call.
vars(moto.core.responses)["method_names_from_class"] = functools.cache(moto.core.responses.method_names_from_class)

# Models and moto's modules are half a million objects that stay. To go through them after every two thousand new ones
# takes a sixth of the time of a processor.
gc.set_threshold(100_000)


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
