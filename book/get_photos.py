"""`make photos`: cats and dogs that need no account, from torchvision into `data/`."""

import sys
from contextlib import suppress
from pathlib import Path

from torchvision.datasets import OxfordIIITPet


def main() -> int:
    folder = Path("data")
    photos = folder / "oxford-iiit-pet"
    try:
        OxfordIIITPet(folder, download=True)
    except (OSError, RuntimeError) as error:  # no network, a broken archive, a full disk
        with suppress(OSError):
            photos.rmdir()  # where nothing came, nothing stays
        print(f"error: Oxford-IIIT Pet could not be downloaded: {error}", file=sys.stderr)
        return 1
    print(f"Photos are in {photos}. Now:\n\n    make book PHOTOS={photos}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
