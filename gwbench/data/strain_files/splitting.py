"""Who gets which segment of real noise: every split and, within it, every channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gwbench.data.strain_files.segments import Segment, common, cut_times, divide, overlapping, seconds
from gwbench.errors import UserError

Shares = dict[str, tuple[list[Segment], ...]]
"""For every split, the segments of each channel."""


def share_out(
    pools: Mapping[str, Sequence[Segment]],
    sources: Mapping[str, str],
    fractions: Mapping[str, float],
    guard: float,
    shortest: int,
    sample_rate: float,
) -> Shares:
    """Cut good time into splits, in order of time, and each split's into its channels where they share a pool.

    Pools that were observed together are cut at the same times, so that no real event reaches two splits.

    Args:
        pools: good segments, by the name of their source.
        sources: the pool of every channel.
        fractions: the share of the good time that each split gets.
        guard: seconds left out between two shares.
        shortest: samples of one window; segments below it are of no use.
        sample_rate: Hz.

    Raises:
        UserError: a channel gets no segment of at least `shortest` samples in a split.
    """
    useful = {name: [part for part in pool if len(part) >= shortest] for name, pool in pools.items()}
    taken: dict[tuple[str, str], list[Segment]] = {}
    for group in overlapping(useful):
        times = cut_times([part for name in group for part in useful[name]], list(fractions.values()))
        for name in group:
            channels = [channel for channel, source in sources.items() if source == name]
            divided = divide(useful[name], times, guard, shortest)
            for split, segments in zip(fractions, divided, strict=True):
                # An empty split has no time to cut; every channel then goes without.
                cuts = cut_times(segments, [1.0] * len(channels)) if segments else [0.0] * (len(channels) - 1)
                parts = divide(segments, cuts, guard, shortest)
                taken |= {(split, channel): part for channel, part in zip(channels, parts, strict=True)}
    for split in fractions:
        for channel, source in sources.items():
            if not taken.get((split, channel)):
                raise _too_little(split, channel, pools[source], shortest / sample_rate)
    return {split: tuple(taken[split, channel] for channel in sources) for split in fractions}


def share_together(
    pools: Mapping[str, Sequence[Segment]],
    fractions: Mapping[str, float],
    guard: float,
    shortest: int,
    sample_rate: float,
) -> Shares:
    """Cut the time that all pools hold into splits, in order of time; each pool is a channel.

    Args:
        pools: good segments of every channel.
        fractions, guard, shortest, sample_rate: as in `share_out`.

    Returns:
        For every split and channel equally many segments, simultaneous in the same place.

    Raises:
        UserError: a split gets no segment of `shortest` samples that all channels hold.
    """
    aligned = common(list(pools.values()))
    name = " and ".join(pools) + " together"
    # Grids of samples that do not coincide cost a sample when the other channels are cut along the first.
    shares = share_out({name: aligned[0]}, {name: name}, fractions, guard, shortest + 1, sample_rate)
    return {split: tuple(common([segments[0], *aligned[1:]], shortest)) for split, segments in shares.items()}


def _too_little(split: str, channel: str, pool: Sequence[Segment], needed: float) -> UserError:
    longest = max((seconds([part]) for part in pool), default=0.0)
    return UserError(
        f"Too little good strain for channel {channel} in the {split} split: one window with its margins takes "
        f"{needed:g} s without a gap; the files hold {seconds(pool):.1f} s, at most {longest:.1f} s at a segment, for "
        "all splits and the channels that share them. Give more or longer files in dataset.path, fewer "
        "dataset.detectors, or a smaller dataset.duration, dataset.margin or dataset.exclude_seconds."
    )
