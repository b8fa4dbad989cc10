"""What a process knows of itself when its run begins, gathered without starting another process."""

from __future__ import annotations

import getpass
import os
import platform
import secrets
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from runvitals.collectors.jsonable import plain


def process_facts(environ: Mapping[str, str]) -> dict[str, Any]:
    """host, pid, process_start_s, argv, python, user, cwd, platform, git_commit, rank, local_rank, world_size."""
    system = os.uname()
    cwd = _cwd()
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process_start_s": _process_start_s(),
        "argv": [plain(word) for word in sys.argv],
        "python": platform.python_version(),
        "user": _user(),
        "cwd": plain(cwd),
        "platform": f"{system.sysname} {system.release} {system.machine}",
        "git_commit": git_commit(Path(cwd)) if cwd else "",
        "rank": whole(environ, "RANK", 0),
        "local_rank": whole(environ, "LOCAL_RANK", 0),
        "world_size": whole(environ, "WORLD_SIZE", 1),
    }


def whole(environ: Mapping[str, str], name: str, default: int) -> int:
    """The environment variable as a whole number; the default where it is not set or is none."""
    try:
        return int(environ.get(name, default))
    except ValueError:
        return default


def new_writer_id() -> str:
    """A name for this process as a writer: host, pid and eight random hex digits, made of letters, digits, dots and dashes only."""
    host = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter == ".") else "-" for letter in socket.gethostname()
    )
    return f"{host.strip('.')[:40] or 'host'}-{os.getpid()}-{secrets.token_hex(4)}"


def git_commit(folder: Path) -> str:
    """The commit that the folder's checkout stands on, read from its `.git`; "" where there is none or it is kept in an unusual way."""
    for place in (folder, *folder.parents):
        git = place / ".git"
        try:
            if git.is_file():  # a worktree or submodule: "gitdir: PATH"
                git = (place / git.read_text().removeprefix("gitdir:").strip()).resolve()
            elif not git.is_dir():
                continue
            return _head(git)
        except (OSError, ValueError):
            return ""
    return ""


def _head(git: Path) -> str:
    head = (git / "HEAD").read_text().strip()
    if not head.startswith("ref:"):
        return head
    reference = head.removeprefix("ref:").strip()
    common = git / "commondir"
    homes = [git, (git / common.read_text().strip()).resolve()] if common.is_file() else [git]
    for home in homes:
        if (home / reference).is_file():
            return (home / reference).read_text().strip()
        packed = home / "packed-refs"
        if packed.is_file():
            for line in packed.read_text().splitlines():
                if line.endswith(f" {reference}"):
                    return line.split(" ", 1)[0]
    return ""


def _process_start_s() -> float | None:
    try:
        return float(psutil.Process().create_time())
    except (OSError, psutil.Error):  # a container without /proc
        return None


def _cwd() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - Path.cwd() would only wrap it
    except OSError:  # the folder was deleted under the process
        return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return str(os.getuid())
