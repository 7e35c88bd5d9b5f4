# SPDX-License-Identifier: GPL-2.0-only
"""What all tests share: a git of their own, no network, real kernels when there are any."""

import os
from pathlib import Path

import pytest
from scratch import cloned


def pytest_addoption(parser):
    """Add the switch that rewrites expected files."""
    parser.addoption(
        "--rewrite", action="store_true", help="rewrite the expected files instead of comparing"
    )


def pytest_collection_modifyitems(items):
    """Mark what needs real kernels."""
    for item in items:
        if "kernels" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.kernel)


@pytest.fixture
def rewrite(request):
    """Whether expected files are to be rewritten."""
    return request.config.getoption("--rewrite")


@pytest.fixture
def kernels():
    """Return the real kernel trees to test on."""
    trees = [Path(tree) for tree in os.environ.get("PATCHTOOL_KERNELS", "").split(":") if tree]
    if not trees:
        pytest.skip("PATCHTOOL_KERNELS names no kernel trees")
    missing = [str(tree) for tree in trees if not tree.is_dir()]
    assert not missing, f"PATCHTOOL_KERNELS names folders that do not exist: {missing}"
    return trees


@pytest.fixture
def checkout(tmp_path):
    """Return a sound miniature kernel in a repository."""
    return cloned("role-regs-fixed", tmp_path / "linux")


@pytest.fixture(scope="session", autouse=True)
def _alone(tmp_path_factory):
    """Keep the person's settings, repositories and network out of the tests."""
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text(
        "[user]\n\tname = A Tester\n\temail = tester@example.com\n[init]\n\tdefaultBranch = main\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("GIT_") or name.lower().endswith("_proxy") or name == "EMAIL":
                patch.delenv(name)
        settings = {
            "HOME": home,
            "XDG_CONFIG_HOME": home / "config",
            "XDG_CACHE_HOME": home / "cache",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": "file",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_AUTHOR_DATE": "2024-01-02T03:04:05+0000",
            "GIT_COMMITTER_DATE": "2024-01-02T03:04:05+0000",
            "LC_ALL": "C.UTF-8",
        }
        for name, value in settings.items():
            patch.setenv(name, str(value))
        yield
