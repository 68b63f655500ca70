"""What can happen to a file behind our back: each of these is done to a path, a file or a folder."""

from __future__ import annotations

import shutil


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: 2 * len(content) // 3])


def empty(path):
    path.write_bytes(b"")


def gone(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def flipped(path):
    """The length stays: only what is in the middle changes."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = bytes(255 - byte for byte in content[middle : middle + 8])
    path.write_bytes(content)


def one_bit(path):
    """The smallest damage; a digit becomes another one, so that JSON stays JSON."""
    content = bytearray(path.read_bytes())
    digits = [place for place, byte in enumerate(content) if chr(byte).isdigit()]
    content[digits[len(digits) // 2]] ^= 1
    path.write_bytes(content)


def other(path):
    path.write_text("[1, null]\n")


def folder(path):
    gone(path)
    path.mkdir()
    (path / "thing").write_text("x")


DAMAGES = {damage.__name__: damage for damage in (cut, empty, gone, flipped, one_bit, other, folder)}
