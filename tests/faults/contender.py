"""One of many that want the lock of a cluster: the product's own code, instructed line by line.

Each line is `take|release CLUSTER EXECUTION`; the answer is one line: the name of the error, or what was returned.
"""

import sys

from benchwright import record
from benchwright.errors import BenchwrightError


def main() -> None:
    print("ready", flush=True)
    for line in sys.stdin:
        action, cluster, execution = line.split()
        try:
            answer = (record.take_lock if action == "take" else record.release_lock)(cluster, execution)
        except BenchwrightError as error:
            answer = type(error).__name__
        print(repr(answer), flush=True)


if __name__ == "__main__":
    main()
