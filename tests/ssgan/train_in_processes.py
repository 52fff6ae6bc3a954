"""What test_parallel.py trains, alone or under torchrun: `train_in_processes.py FILE FOLDER`."""

import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from torch import distributed, nn

from ssgan_core import loop
from ssgan_core.device import Hardware, processes, rank
from ssgan_core.photos.photoset import PhotoSet
from ssgan_core.ssgan import step as photos
from ssgan_core.ssgan.fit import Fit, fit
from ssgan_core.ssgan.recipes import find_recipe
from ssgan_core.train import TrainSettings, train

# bf16 would round the halves of a batch in their own way, by more than the processes may differ.
FP32 = Hardware(torch.device("cpu"), bf16=False)


def without_batch_norm(network: nn.Module) -> nn.Module:
    """Batch norm sees a process's share alone; without it the processes must agree exactly."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    return network


class SharedBatchNorm(nn.BatchNorm2d):
    """In place of SyncBatchNorm, which needs GPUs: in training it waits for all processes."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            distributed.barrier()
        return super().forward(images)


def with_shared_batch_norm(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.__class__ = SharedBatchNorm
    return network


def made_up(size: int) -> PhotoSet:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (80, 3, size, size), dtype=torch.uint8, generator=generator)
    split = np.repeat(["labeled", "unlabeled", "val", "test"], [8, 52, 10, 10])
    table = pd.DataFrame({"path": map(str, range(80)), "label": np.arange(80) % 2, "split": split})
    return PhotoSet(Path("."), table, ("cat", "dog"), "made up", images=images)


def train_article() -> Fit:
    recipe = replace(find_recipe("article"), learning_rate=1e-4, unlabeled_batch=16)
    return fit(recipe, made_up(32), 3, width=8, generator_width=16, evaluations=3)


def train_views() -> Fit:
    """Augmented, strong and weak views, quarter turns and averaged weights."""
    recipe = replace(
        find_recipe("ssgan-minus-gan"), learning_rate=1e-4, confidence=0.0, labeled_batch=8
    )
    return fit(replace(recipe, unlabeled_batch=16), made_up(32), 3, width=8, evaluations=3)


def train_by_the_clock() -> Fit:
    """Minutes end it, and the clock of process 1 is three times as fast."""
    if rank():
        loop.time = SimpleNamespace(perf_counter=lambda: 3 * time.perf_counter())
    return fit(find_recipe("supervised"), made_up(32), max_minutes=0.02, width=8, evaluations=2)


def train_growing() -> Fit:
    """Small images at first, whole ones later, and a generator that is idle in every other step."""
    recipe = replace(find_recipe("ssgan"), small_first=0.4, gan_every=2, unlabeled_batch=16)
    return fit(recipe, made_up(128), 4, width=8, generator_width=16, evaluations=2)


def plain(done: Fit) -> dict:
    """What is compared of a training, in tensors and plain values."""
    history = done.history.drop(columns="seconds").to_dict("list")
    weights = [p.detach().clone() for p in done.learner.classifier.parameters()]
    return {"history": history, "weights": weights}


PARITY = {"article": train_article, "views": train_views}

if __name__ == "__main__":
    torch.set_num_threads(1)
    Hardware.detect = lambda: FP32
    photos.synchronized = without_batch_norm
    with processes():
        told = {name: plain(train()) for name, train in PARITY.items()}
        told["head"] = train_growing().learner.generator.head.weight.detach()
        told["evaluations"] = len(train_by_the_clock().history)
        if rank() == 0:
            torch.save(told, sys.argv[1])
        photos.synchronized = with_shared_batch_norm
        tiny = {"pets": 200, "size": 32, "width": 8, "generator_width": 16}
        tiny |= {"steps": 2, "evaluations": 1}
        train(TrainSettings(recipe="article", out=sys.argv[2], **tiny))
