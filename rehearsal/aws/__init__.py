"""The local AWS."""

import functools
import gc

import botocore.session
import moto.core.utils

# All sessions share the models of services, megabytes of JSON that each would read itself: moto makes dozens of
# sessions while it is imported, and tests make one each.
vars(botocore.session)["create_loader"] = functools.cache(botocore.session.create_loader)
# moto's own are other models: it adds to those of botocore. It would look through the folders of all services for each.
vars(moto.core.utils)["create_loader"] = functools.cache(moto.core.utils.create_loader)

# Models and moto's modules are half a million objects that stay. To go through them after every two thousand new ones
# takes a sixth of the time of a processor.
gc.set_threshold(100_000)
