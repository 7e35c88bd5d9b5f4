# SPDX-License-Identifier: GPL-2.0-only
"""Scratch trees and repositories for the tests, and commands that are run on them."""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import miniatures
import pytest

HOUSE = Path(__file__).parent.parent


def run(command, *words):
    """Run a command of the program in this process and return its exit status."""
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return command.run(parser.parse_args(list(map(str, words))))


def call(*command, cwd=None, data=None, text=False, **more):
    """Run a program with the project in reach and return what came of it."""
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        input=data,
        capture_output=True,
        check=False,
        text=text,
        env={**os.environ, "PYTHONPATH": str(HOUSE), **more},
    )


def program(name):
    """Return a program, one of the development tools or of the system.

    Without it a test is skipped, but not where CI ran: there it has to be installed.
    """
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        missing(f"{name} is not installed")
    return found


def missing(reason):
    """Skip a test that lacks a program, and fail in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; .ci/run has to install it")
    pytest.skip(reason)


def by_itself():
    """Return the environment for a make that is no part of the one which runs the tests."""
    outer = ("MAKELEVEL", "MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES")
    return {name: value for name, value in os.environ.items() if name not in outer}


def git(where, *args, data=None):
    """Run git in a folder and return what it printed."""
    done = subprocess.run(
        ["git", "-C", str(where), *args], input=data, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf-8", "surrogateescape").strip()


def fill(where, files):
    """Write files below a folder; a value that is a str becomes a symbolic link."""
    for name, content in files.items():
        path = where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)


def repository(where, files):
    """Make a repository of one commit."""
    where.mkdir(parents=True, exist_ok=True)
    git(where, "init", "--quiet")
    fill(where, files)
    commit(where, "first")
    return where


def copied(name, where):
    """Copy a miniature to where it may be changed."""
    miniatures.write(name, where)
    return where


def cloned(name, where):
    """Make a repository of a miniature."""
    return repository(copied(name, where), {})


def commit(where, subject):
    """Commit all that lies in the work tree and return the id."""
    git(where, "add", "--all", "--force", ".")
    git(where, "commit", "--quiet", "--allow-empty", "--message", subject)
    return git(where, "rev-parse", "HEAD")
