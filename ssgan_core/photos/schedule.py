"""Which rows come in which batch, for one process or several."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from ssgan_core.errors import InputError


class Schedule:
    """Which rows come in which batch, as a pure function of the arguments here and the position.

    An epoch is a permutation of the rows seeded by (seed, epoch), or the rows in their order
    without `shuffle`. `epoch(n)` cuts it into batches, the last one partial. `batch(step)` is for
    training: epochs laid end to end and cut into full batches, so that every row comes once an
    epoch and no batch is short; with fewer rows than `batch_size` every batch is all of them.

    Of `num_shards` processes, each with another `shard_id` and else the same arguments, every one
    gets its own rows and as many batches as the others. In training they see together, step by
    step, what one process would see with batches `num_shards` times as large. In an epoch each
    row goes to one of them, and the sizes of the batches differ by at most one.

    Raises InputError for no rows, a batch size below 1, a shard that does not exist, or too few
    rows to give every shard one in every batch.
    """

    def __init__(
        self,
        rows: np.ndarray,
        batch_size: int,
        shuffle: bool,
        seed: int,
        shard_id: int = 0,
        num_shards: int = 1,
    ):
        self.rows = np.asarray(rows, dtype=np.int64)
        if self.rows.ndim != 1 or not len(self.rows):
            raise InputError("A loader was given no rows; at least one is needed.")
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}; 1 or more is accepted.")
        if not 0 <= shard_id < num_shards:
            raise InputError(
                f"shard_id is {shard_id} and num_shards {num_shards}; accepted are 1 shard or "
                f"more, and a shard_id from 0 to the one before num_shards."
            )
        self.batch_size, self.shuffle, self.seed = batch_size, shuffle, seed
        self.shard_id, self.num_shards = shard_id, num_shards
        if len(self.rows) // num_shards < len(self):
            raise InputError(
                f"{len(self.rows)} rows cannot be dealt to {num_shards} shards in {len(self)} "
                f"batches each; at least {num_shards * len(self)} rows are needed."
            )
        self._order = lru_cache(maxsize=2)(self._permuted)

    def _permuted(self, epoch: int) -> np.ndarray:
        if not self.shuffle:
            return self.rows
        return np.random.default_rng((self.seed, epoch)).permutation(self.rows)

    def __len__(self) -> int:
        largest = -(-len(self.rows) // self.num_shards)
        return -(-largest // self.batch_size)

    def epoch(self, number: int) -> Iterator[np.ndarray]:
        order = self._order(number)
        if self.num_shards > 1:
            yield from np.array_split(order[self.shard_id :: self.num_shards], len(self))
            return
        for start in range(0, len(order), self.batch_size):
            yield order[start : start + self.batch_size]

    def batch(self, step: int) -> np.ndarray:
        width = self.num_shards * min(self.batch_size, len(self.rows) // self.num_shards)
        epoch, start = divmod(step * width, len(self.rows))
        rows = self._order(epoch)[start : start + width]
        if len(rows) < width:
            rows = np.concatenate([rows, self._order(epoch + 1)[: width - len(rows)]])
        return rows[self.shard_id :: self.num_shards]
