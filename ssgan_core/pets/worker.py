"""A process that draws part of a collection, for `draw_pets`; it ends with the one that started it.

For each chunk of pictures, or at the OSError that stops it, it prints a line of JSON.
"""

import json
import os
import sys
import threading


def end_with_parent() -> None:
    """Standard input closes when the process that started this one ends, however it does."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    # Before the imports, which may take seconds.
    threading.Thread(target=end_with_parent, daemon=True).start()

    from pathlib import Path

    from ssgan_core.pets.collection import draw_chunk

    folder, size, seed, count, start, step = json.loads(sys.argv[1])
    try:
        for first in range(start, count + 1, step):
            rows = draw_chunk(Path(folder), size, seed, count, first)
            print(json.dumps({"rows": rows}), flush=True)
    except OSError as error:
        told = [error.errno, error.strerror or str(error), error.filename]
        print(json.dumps({"error": told}), flush=True)
