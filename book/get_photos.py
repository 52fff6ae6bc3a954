"""`make photos`: cats and dogs that need no account, from torchvision into `data/`."""

import sys
from pathlib import Path

from torchvision.datasets import OxfordIIITPet


def main() -> int:
    folder = Path("data")
    try:
        OxfordIIITPet(folder, download=True)
    except (OSError, RuntimeError) as error:  # no network, a broken archive, a full disk
        print(f"error: Oxford-IIIT Pet could not be downloaded: {error}", file=sys.stderr)
        return 1
    print("Photos are in data/oxford-iiit-pet. Now:\n\n    make book PHOTOS=data/oxford-iiit-pet")
    return 0


if __name__ == "__main__":
    sys.exit(main())
