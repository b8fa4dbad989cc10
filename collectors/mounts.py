"""Whether a folder lies on a file system that a network can make hang, told from the table of mounts alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

import psutil

# fmt: off
_NETWORK = frozenset({
    "nfs", "nfs3", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afs", "auristorfs", "coda", "ncpfs", "ceph",
    "lustre", "gpfs", "mmfs", "beegfs", "beegfs_ondemand", "glusterfs", "panfs", "pvfs2", "orangefs",
    "wekafs", "ocfs2", "gfs2", "9p", "virtiofs", "vboxsf", "vmhgfs", "davfs", "afpfs", "webdav", "macfuse",
    "osxfuse", "autofs", "fuse",
})
"""Types whose server is another machine, the host of a virtual machine, or (autofs) whatever will be mounted at the first touch."""

_LOCAL_FUSE = frozenset({
    "fuse-overlayfs", "overlayfs", "mergerfs", "bindfs", "encfs", "gocryptfs", "cryfs", "ntfs-3g", "ntfs",
    "exfat", "squashfuse", "lxcfs",
})
"""What follows `fuse.` where the process behind it only works on local disks; any other may stand for a server."""
# fmt: on

_MAX_LINKS = 40
"""As many links as Linux follows in one path."""

Mounts = Mapping[str, str]
"""Types by mount point; of several on one point the last, which hides the others."""


def on_network(
    path: str | os.PathLike[str], mounts: Mounts | None = None, *, readlink: Callable[[str], str] = os.readlink
) -> bool:
    """True where what is written to the absolute `path` goes to a network mount. False where the system has no table of mounts.

    The path need not exist. Links are followed, but nothing on a network mount is ever asked: its type settles the matter.
    """
    mounts = _mounts() if mounts is None else mounts
    todo = list(reversed(PurePosixPath(path).parts[1:]))
    place, links = "/", 0
    while not is_network(_type_of(place, mounts)):
        if not todo:
            return False
        name = todo.pop()
        if name == "..":
            place = _above(place)
            continue
        above, place = place, f"{place.rstrip('/')}/{name}"
        if is_network(_type_of(place, mounts)):
            break
        try:
            target = readlink(place)
        except OSError:  # no link, or not there yet
            continue
        links += 1
        if links > _MAX_LINKS:
            return False
        place = "/" if target.startswith("/") else above
        todo += [part for part in reversed(PurePosixPath(target).parts) if part != "/"]
    return True


def is_network(kind: str) -> bool:
    """True for a type of file system, as the table of mounts names it, that a network can make hang."""
    kind = kind.lower()
    return kind in _NETWORK or (kind.startswith("fuse.") and kind.removeprefix("fuse.") not in _LOCAL_FUSE)


def _type_of(place: str, mounts: Mounts) -> str:
    """The type of the file system that holds the place: that of the nearest mount point above it."""
    while place not in mounts and place != "/":
        place = _above(place)
    return mounts.get(place, "")


def _above(place: str) -> str:
    return place.rpartition("/")[0] or "/"


def _mounts() -> Mounts:
    """The system's table, which it gives without asking any of the mounts."""
    try:
        return {mount.mountpoint: mount.fstype for mount in psutil.disk_partitions(all=True)}
    except (OSError, RuntimeError, psutil.Error):  # a container without /proc
        return {}
