"""What the functions of Benchwright share: the models of its input, its named errors, and one module per conversation
with AWS.
"""

import gc

# An import leaves no garbage, and a step little. Python looks for it every 2,000 objects, which takes up to a
# thirty-fifth of a cold start.
gc.set_threshold(100_000)
