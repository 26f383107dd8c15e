"""How many threads this process may really use: affinity and cgroup quota, not the host's cores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
CPUS = Path("/sys/devices/system/cpu")


def thread_count() -> int:
    """Threads for one compute pool: physical cores in the affinity mask, within the CPU quota.

    A quota of 2.5 CPUs gives 2: a third thread would be throttled by the scheduler. At least 1.
    """
    cores = physical_cores(allowed_cpus())
    quota = cpu_quota()
    return max(1, cores if quota is None else min(cores, int(quota)))


def allowed_cpus() -> set[int]:
    """Logical CPUs this process may be scheduled on."""
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def physical_cores(cpus: set[int], topology: Path = CPUS) -> int:
    """Number of distinct cores behind these logical CPUs; hyperthreads of one core count once."""
    siblings = (topology / f"cpu{cpu}" / "topology" / "thread_siblings_list" for cpu in cpus)
    try:
        return len({path.read_text() for path in siblings})
    except OSError:
        return len(cpus)


def cpu_quota(root: Path = CGROUP_ROOT, membership: Path = MEMBERSHIP) -> float | None:
    """Smallest CPU quota, in CPUs, of this process' cgroups (version 1 or 2); None if unlimited."""
    return min(_quotas(root, membership), default=None)


def _quotas(root: Path, membership: Path) -> Iterator[float]:
    for folder in _cgroup_folders(root, membership):
        try:
            if (folder / "cpu.max").exists():
                quota, period = (folder / "cpu.max").read_text().split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text().strip()
                period = (folder / "cpu.cfs_period_us").read_text().strip()
        except (OSError, ValueError):
            continue
        if quota not in ("max", "-1") and float(period) > 0:
            yield float(quota) / float(period)


def _cgroup_folders(root: Path, membership: Path) -> Iterator[Path]:
    """The folders of this process' CPU cgroup and of all its parents, up to the mount point."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base = root
        elif "cpu" in controllers.split(","):
            # Mounted by the names of all its controllers; mostly there is a link by each name.
            base = root / controllers if (root / controllers).exists() else root / "cpu"
        else:
            continue
        # Inside a container the path may be the host's: what does not exist is skipped.
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts), -1, -1):
            yield base.joinpath(*parts[:depth])
