"""Which folders are known to lie on a network mount, from the table of mounts and without touching the mount."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runvitals.collectors.mounts import is_network, on_network

MOUNTS = {
    "/": "ext4",
    "/home": "autofs",
    "/data": "xfs",
    "/data/shared": "nfs4",
    "/data/shared/fast": "ext4",
    "/mnt/my disk": "fuse.sshfs",
}


@pytest.mark.parametrize(
    "kind",
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "fuse.sshfs",
        "fuse.s3fs",
        "fuse.juicefs",
        "fuse",
        "lustre",
        "gpfs",
        "beegfs",
        "ceph",
        "fuse.glusterfs",
        "9p",
        "afs",
        "virtiofs",
        "autofs",
        "NFS",
    ],
)
def test_types_that_a_network_can_make_hang(kind: str) -> None:
    assert is_network(kind)


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", "fuse.mergerfs", "apfs", ""]
)
def test_types_that_are_local(kind: str) -> None:
    assert not is_network(kind)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/x/journal/run", False),
        ("/data/shared", True),
        ("/data/shared/a/b", True),
        ("/data/sharedlike/a", False),
        ("/data/shared/fast/a", True),  # to come there, one passes the network mount
        ("/home/me/.local/share", True),
        ("/mnt/my disk/x", True),
        ("/data/shared/../x", True),
        ("/data/x/../shared/y", True),
        ("/", False),
    ],
)
def test_the_nearest_mount_above_a_path_decides(path: str, expected: bool) -> None:
    def nothing_is_a_link(place: str) -> str:
        assert not place.startswith(("/data/shared/", "/home/", "/mnt/my disk/")), "asked a network mount"
        raise OSError

    assert on_network(path, MOUNTS, readlink=nothing_is_a_link) is expected


@pytest.mark.parametrize(
    ("target", "expected"), [("/data/shared/me", True), ("../data/shared", True), ("/data/x", False), ("x", False)]
)
def test_a_link_to_a_network_mount_is_followed_without_asking_the_mount(target: str, expected: bool) -> None:
    links = {"/opt/home": target}

    def readlink(place: str) -> str:
        assert not place.startswith("/data/shared"), "asked a network mount"
        if place not in links:
            raise OSError
        return links[place]

    assert on_network("/opt/home/journal/run", MOUNTS, readlink=readlink) is expected


def test_links_in_a_circle_come_to_an_end() -> None:
    assert not on_network("/opt/a/b", MOUNTS, readlink=lambda place: place)


def test_this_machines_own_table_is_read_and_real_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    table = {"/": "ext4", str(tmp_path.resolve() / "there"): "nfs"}
    assert on_network(tmp_path.resolve() / "link" / "journal", table)
    assert not on_network(tmp_path.resolve() / "other", table)
    assert isinstance(on_network(os.path.abspath(os.curdir)), bool)  # noqa: PTH100
