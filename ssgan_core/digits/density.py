"""A density of images that can be differentiated: kernels in the space of principal components."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from sklearn.decomposition import PCA
from torch import Tensor

from ssgan_core.losses import kde_log_density, low_density

COMPONENTS = 16
KERNELS = 1000  # images that carry a kernel; as many others set the threshold


@dataclass(frozen=True)
class Density:
    """log p of images from a Gaussian kernel estimate over their principal components.

    Bad GAN uses a PixelCNN++ here (Dai et al. 2017, section 5); this stand-in needs no training.
    `threshold` is the 10th percentile of log p over real images that carry no kernel.
    """

    mean: Tensor  # (P,)
    basis: Tensor  # (P, COMPONENTS)
    kernels: Tensor  # (N, COMPONENTS)
    bandwidth: float
    threshold: float

    @classmethod
    def fit(cls, images: Tensor) -> Self:
        """Estimate from real images (N, P), with the bandwidth of Scott's rule."""
        random = torch.Generator().manual_seed(0)
        images = images[torch.randperm(len(images), generator=random)[: 2 * KERNELS]]
        half = min(KERNELS, len(images) // 2)
        pca = PCA(COMPONENTS, random_state=0).fit(images.numpy())
        mean, basis = torch.from_numpy(pca.mean_), torch.from_numpy(pca.components_.T.copy())
        points = (images - mean) @ basis
        kernels, others = points[:half], points[half:]
        bandwidth = float(kernels.std(0).mean()) * half ** (-1 / (COMPONENTS + 4))
        threshold = float(kde_log_density(others, kernels, bandwidth).quantile(0.1))
        return cls(mean, basis, kernels, bandwidth, threshold)

    def to(self, device: torch.device) -> Self:
        moved = {name: getattr(self, name).to(device) for name in ("mean", "basis", "kernels")}
        return replace(self, **moved)

    def penalty(self, images: Tensor) -> Tensor:
        """How far log p of images (R, B, P) exceeds the threshold on average, (R,)."""
        points = (images.float() - self.mean) @ self.basis
        return low_density(points, self.kernels, self.bandwidth, self.threshold)
