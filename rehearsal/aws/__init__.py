"""The local AWS."""

import functools

import botocore.session

# All sessions share the models of services, megabytes of JSON that each would read itself: moto makes dozens of
# sessions while it is imported, and tests make one each.
vars(botocore.session)["create_loader"] = functools.cache(botocore.session.create_loader)
