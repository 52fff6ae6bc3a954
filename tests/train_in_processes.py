"""What test_parallel.py trains, alone or under torchrun: `train_in_processes.py FILE`."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from ssgan_core.data.photos import PhotoCollection
from ssgan_core.training import photos
from ssgan_core.training.evaluate import PhotoData
from ssgan_core.training.fit import Fit, fit
from ssgan_core.training.parallel import processes, rank
from ssgan_core.training.recipes import find_recipe


def without_batch_norm(network: nn.Module) -> nn.Module:
    """Batch norm sees a process's share alone; without it the processes must agree exactly."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    return network


def train_article() -> Fit:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (80, 3, 32, 32), dtype=torch.uint8, generator=generator)
    split = np.repeat(["labeled", "unlabeled", "val", "test"], [8, 52, 10, 10])
    table = pd.DataFrame({"path": map(str, range(80)), "label": np.arange(80) % 2, "split": split})
    data = PhotoData(images, PhotoCollection(Path("."), table, ("cat", "dog"), "made up"))
    recipe = replace(find_recipe("article"), learning_rate=1e-4, unlabeled_batch=16)
    return fit(recipe, data, 3, width=8, generator_width=16, rounds=3)


if __name__ == "__main__":
    torch.set_num_threads(1)
    photos.synchronized = without_batch_norm
    with processes():
        done = train_article()
        if rank() == 0:
            history = done.history.drop(columns="seconds").to_dict("list")
            weights = [p.detach().clone() for p in done.learner.classifier.parameters()]
            torch.save({"history": history, "weights": weights}, sys.argv[1])
