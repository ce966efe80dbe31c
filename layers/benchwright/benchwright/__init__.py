"""What the functions of Benchwright share: the models of its input, its named errors, and one module per conversation
with AWS.
"""

import gc

# An import leaves no garbage. Python would look for some every 2,000 objects: a fiftieth of a cold start.
gc.set_threshold(100_000)
