"""What the tests of the photo modules share: collections without files, and folders of fakes."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ssgan_core.photos.files import PhotoCollection
from ssgan_core.photos.photoset import PhotoSet

REAL = Path(__file__).parents[2] / "shared" / "data" / "dogs-vs-cats-180"
SETS = Path(__file__).parents[1] / "notebooks" / "labeled_sets"


def collection(photos, classes=("cat", "dog"), root="photos"):
    """A collection of `photos`: (path, label) or (path, label, content) or with a split too."""
    rows = [(*photo, photo[0], "")[:4] if len(photo) == 2 else (*photo, "")[:4] for photo in photos]
    table = pd.DataFrame(rows, columns=["path", "label", "content", "split"])
    table["digest"] = [hashlib.sha256(str(c).encode()).hexdigest() for c in table.pop("content")]
    table["name"] = table["path"]
    table = table.sort_values("path", ignore_index=True)
    return PhotoCollection(Path(root), table, classes, "made up")


def pets(n, start=0):
    """`n` cats and `n` dogs with Kaggle's names, all different."""
    names = ("cat", "dog")
    return [(f"{names[label]}.{i}.jpg", label) for label in (0, 1) for i in range(start, start + n)]


def fill(root, names):
    """Write a file for each name, each with its own bytes unless `names` says which."""
    contents = names if isinstance(names, dict) else {name: name for name in names}
    for name, content in contents.items():
        file = Path(root) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return Path(root)


def dark_and_bright(size=32, **splits):
    """Dark and bright noise as two classes: learnable at once; so many images a split."""
    splits = splits or {"labeled": 20, "unlabeled": 130, "val": 40, "test": 50}
    torch.manual_seed(0)
    n = sum(splits.values())
    labels = np.arange(n) % 2
    images = torch.randint(0, 150, (n, 3, size, size), dtype=torch.uint8)
    images += torch.as_tensor(labels * 100, dtype=torch.uint8)[:, None, None, None]
    split = np.repeat(list(splits), list(splits.values()))
    table = pd.DataFrame({"path": [f"{i}.jpg" for i in range(n)], "label": labels, "split": split})
    return PhotoSet(Path("."), table, ("dark", "bright"), "made up", images=images)
