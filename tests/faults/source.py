"""Faults of the source: files that change under our hands, a share that goes, an encrypting intruder."""

from __future__ import annotations

import collections.abc
import contextlib
import errno
import os
import pathlib
import shutil
import subprocess

from tests.faults.fault import Fault, Some, acting, at_end, is_data, is_document
from tests.faults.points import Action
from tests.faults.truth import digest
from tests.faults.world import FLAG, PARAMETERS, Outcome, World
from tests.line import Request

Armed = collections.abc.Iterator[None]
Change = collections.abc.Callable[[World, pathlib.Path], "bytes | None"]
"""Returns what the file holds then; None where none stands there any more."""


def changed(world: World, path: pathlib.Path) -> bytes:
    content = bytearray(path.read_bytes())
    at = world.chance.randrange(len(content))
    content[at] ^= 0xFF
    with open(path, "r+b") as handle:
        handle.seek(at)
        handle.write(content[at : at + 1])
    return bytes(content)


def rewritten_under_its_time(world: World, path: pathlib.Path) -> bytes:
    """Its size and mtime are as they were; only ctime tells."""
    status = path.stat()
    content = changed(world, path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return content


def truncated(world: World, path: pathlib.Path) -> bytes:
    content = path.read_bytes()
    os.truncate(path, len(content) // 2)
    return content[: len(content) // 2]


def grown(world: World, path: pathlib.Path) -> bytes:
    with open(path, "ab") as handle:
        handle.write(b"and more")
    return path.read_bytes()


def became_a_folder(world: World, path: pathlib.Path) -> None:
    path.unlink()
    path.mkdir()


def became_a_symlink(world: World, path: pathlib.Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def deleted(world: World, path: pathlib.Path) -> None:
    path.unlink()


def unreadable(world: World, path: pathlib.Path) -> bytes:
    path.chmod(0)
    return path.read_bytes()


def _reached_while_hashed(
    world: World, name: str, do: collections.abc.Callable[[], None]
) -> contextlib.ExitStack:
    stack = contextlib.ExitStack()
    action: Action = lambda process: do()
    stack.enter_context(world.points.at("open", f"/R/{name}", action))
    return stack


def _reached_while_sent(
    world: World, name: str, do: collections.abc.Callable[[], None]
) -> contextlib.ExitStack:
    some = Some(world, lambda request: is_data(request) and request.blob == f"R/{name}")
    return _acting(world, some, do)


def _reached_after_verdict(
    world: World, name: str, do: collections.abc.Callable[[], None]
) -> contextlib.ExitStack:
    """While the documents are written, when the marker is looked at before removal, before the folder is moved aside,
    or before one of its files goes."""
    chance = world.chance
    action: Action = lambda process: do()
    suffix = chance.choice((".md5", ".files.jsonl", ".json", ".sync", "look", "os.rename", "os.remove"))
    # Not the very file that is about to be unlinked: no call unlinks a file only if it is as it was looked at before.
    if suffix == "os.remove" and name.endswith("0.bcl") or not (world.plan.remove or suffix.startswith(".")):
        suffix = ".sync"
    stack = contextlib.ExitStack()
    if suffix.startswith("os."):
        fragment = "removing-R" if suffix == "os.rename" else "0.bcl"
        stack.enter_context(
            world.points.at(suffix, fragment, action, 1 if suffix == "os.rename" else chance.randint(1, 2))
        )
        return stack
    if suffix == "look":
        fits = lambda request: request.method == "HEAD" and request.blob == "R.sync"  # noqa: E731
    else:
        fits = lambda request: is_document(request) and request.blob == f"R{suffix}"  # noqa: E731
    return _acting(world, Some(world, fits), do)


def behind_the_last_walk(
    world: World, name: str, do: collections.abc.Callable[[], None]
) -> contextlib.ExitStack:
    """When the run stands aside and was walked again, before one of its files is unlinked: not the very first one."""
    action: Action = lambda process: do()
    stack = contextlib.ExitStack()
    fragment, number = ("0.bcl", 1) if not name.endswith("0.bcl") else ("removing-R", 1)
    event = "os.remove" if fragment == "0.bcl" else "os.rename"
    stack.enter_context(world.points.at(event, fragment, action, number))
    return stack


def _acting(world: World, some: Some, do: collections.abc.Callable[[], None]) -> contextlib.ExitStack:
    def act(request: Request) -> None:
        if some(request):
            do()

    stack = contextlib.ExitStack()
    stack.enter_context(acting(world, act))
    return stack


def one_file(
    change: Change, moment: collections.abc.Callable[..., contextlib.ExitStack], new_only: bool
) -> collections.abc.Callable[[World, Fault], contextlib.AbstractContextManager[None]]:
    @contextlib.contextmanager
    def arm(world: World, fault: Fault) -> Armed:
        names = [
            name
            for name in sorted(world.truth.now["R"])
            if "Sheet" not in name and name not in (FLAG, PARAMETERS, "Data/empty.txt")
            if not (new_only and world.watch.is_published("R", name, world.truth.now["R"][name]))
        ]
        name = (
            "Data/large.raw"
            if "Data/large.raw" in names and world.chance.random() < 0.7
            else world.chance.choice(names)
        )
        kept: list[bytes] = []

        def do() -> None:
            path = world.path("R", name)
            # Behind a link of another fault lies its canary.
            if not kept and path.is_file() and path.resolve() == path:
                kept.append(path.read_bytes())
                world.once.setdefault(name, []).append(kept[0])

                def how(path: pathlib.Path) -> bytes | None:
                    return change(world, path)

                how.__name__ = change.__name__
                world.alter("R", name, how)
                world.strike(fault.name)

        with moment(world, name, do):
            yield
        if kept:
            _mend(world, name, kept[0])

    return arm


def _mend(world: World, name: str, content: bytes) -> None:
    """What a person would do: what is no plain file is put back; a published file that changed is brought back, as it
    was published: another fault of the pair may have changed it before or after."""
    path = world.path("R", name)
    if not path.parent.is_dir():
        return
    if world.watch.get("R.sync") is not None:
        # Deep in a published run: only a thorough look sees that.
        world.found_by_thorough = True
    if path.is_symlink() or path.is_dir():
        path.unlink() if path.is_symlink() else path.rmdir()
        world.write("R", {name: content})
    elif path.exists():
        path.chmod(0o644)
        standing = world.watch.status("R")
        published = (standing.lines or {}).get(name) if standing.marker is not None else None
        if published is not None and published != digest(path.read_bytes()):
            good = [each for each in world.once[name] if digest(each) == published]
            assert good, "the manifest has what never was"
            world.truth.destroyed("R", name, digest(path.read_bytes()), "brought back")
            world.write("R", {name: good[0]})


@contextlib.contextmanager
def new_file(world: World, fault: Fault) -> Armed:
    def do() -> None:
        if world.path("R", "Data").is_dir():
            world.write("R", {f"Data/late-{world.chance.randint(0, 9)}.txt": world.noise(80)})
            world.strike(fault.name)

    with _reached_after_verdict(world, "", do):
        yield


@contextlib.contextmanager
def encrypted(world: World, fault: Fault) -> Armed:
    """An intruder encrypts a published run and leaves a note; later a person brings the files back."""
    kept = {
        name: world.path("R", name).read_bytes()
        for name, was in world.truth.now["R"].items()
        if world.watch.is_published("R", name, was) and name != FLAG
    }
    for name, content in kept.items():

        def encrypt(path: pathlib.Path, size: int = len(content)) -> bytes:
            path.write_bytes(world.chance.randbytes(max(1, size)))
            return path.read_bytes()

        world.alter("R", name, encrypt)
    world.write("R", {"HOW TO DECRYPT.txt": b"pay\n"})
    world.strike(fault.name)
    yield
    for name, content in kept.items():
        path = world.path("R", name)
        world.truth.destroyed("R", name, digest(path.read_bytes()), "brought back")
        world.write("R", {name: content})


@contextlib.contextmanager
def unmounted(world: World, fault: Fault) -> Armed:
    assert world.bound is not None
    bound, chance = world.bound, world.chance

    def do() -> None:
        if bound.is_mounted:
            bound.unmount()
            world.strike(fault.name)

    if chance.random() < 0.5:
        stack = _acting(world, Some(world, first=chance.randint(1, 25)), do)
    else:
        stack = contextlib.ExitStack()
        action: Action = lambda process: do()
        stack.enter_context(
            world.points.at("os.scandir open", str(world.main), action, chance.randint(1, 25))
        )
    with stack:
        yield
    if not bound.is_mounted:
        bound.mount(world.disk)


def stale(
    number: int,
) -> collections.abc.Callable[[World, Fault], contextlib.AbstractContextManager[None]]:
    @contextlib.contextmanager
    def arm(world: World, fault: Fault) -> Armed:
        assert world.share is not None
        share = world.share

        def see(outcome: Outcome) -> None:
            if share.struck:
                world.strike(fault.name)

        share.fail(number, world.chance.randint(3, 90))
        with at_end(world, see):
            yield
        share.heal()

    return arm


@contextlib.contextmanager
def other_inodes(world: World, fault: Fault) -> Armed:
    """The share comes back from another server: all the same, but for inodes and the device."""
    assert world.bound is not None
    world.bound.unmount()
    copy = world.folder / "moved"
    subprocess.run(["cp", "-a", world.disk, copy], check=True)
    shutil.rmtree(world.disk)
    world.disk = copy
    world.bound.mount(copy)
    world.strike(fault.name)
    yield


@contextlib.contextmanager
def other_mount(world: World, fault: Fault) -> Armed:
    """Another file system is mounted in its place; it holds another run of that name."""
    assert world.bound is not None
    world.bound.unmount()
    world.bound.mount_tmpfs()
    (world.main / "R").mkdir()
    (world.main / "R" / FLAG).write_text("another\n", encoding="utf-8")
    world.strike(fault.name)
    yield
    world.bound.unmount()
    world.bound.mount(world.disk)


_CHANGES: tuple[Change, ...] = (
    changed,
    truncated,
    grown,
    became_a_folder,
    became_a_symlink,
    deleted,
    unreadable,
)
_MOMENTS = (
    ("while it is hashed", _reached_while_hashed, True),
    ("while it is sent", _reached_while_sent, True),
    ("between verdict and removal", _reached_after_verdict, False),
)
_MOVED = "changed|cannot be|not removed|put back|entries|not uploaded|failed"
_SHARE = "is empty|is not there|another file system|cannot be read|cannot be moved|mounted|failed|cannot go on|vanished"


def _one_file_faults() -> collections.abc.Iterator[Fault]:
    for change in _CHANGES:
        words = change.__name__.replace("_", " ")
        for moment, reached, new_only in _MOMENTS:
            yield Fault(f"a file {words} {moment}", one_file(change, reached, new_only), {0, 1}, _MOVED)


FAULTS = (
    *_one_file_faults(),
    Fault(
        "a file rewritten under its time between verdict and removal",
        one_file(rewritten_under_its_time, _reached_after_verdict, False),
        {0, 1},
        _MOVED,
        remove=True,
    ),
    Fault("a new file between verdict and removal", new_file, {0, 1}, _MOVED, remove=True),
    Fault(
        "a published run encrypted at the source",
        encrypted,
        {0, 1},
        "the good copy was kept",
        told=True,
        shapes=("growth",),
    ),
    Fault("main folder unmounted in the middle", unmounted, {0, 1, 3}, _SHARE, mount="bound"),
    Fault("stale handle: EIO", stale(errno.EIO), {3}, "cannot be read|failed|Input/output", mount="share"),
    Fault("stale handle: ESTALE", stale(errno.ESTALE), {3}, "cannot be read|failed|Stale", mount="share"),
    Fault("inodes changed between passes", other_inodes, {0}, mount="bound", shapes=("growth",)),
    Fault(
        "another file system mounted there",
        other_mount,
        {3},
        "another file system",
        mount="bound",
        shapes=("growth",),
        alone=True,
    ),
)
