"""Results are pushed and pulled by SSH: to an sshd of its own keys and port, on this machine, while a test runs."""

import getpass
import importlib.util
import os
import shutil
import socket
import subprocess
import time

import pytest
from test_pull import git, make_up, pulled, versioned

SSHD = shutil.which("sshd", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"]))
MISSING = [] if SSHD else ["sshd (Debian's openssh-server)"]
MISSING += [] if importlib.util.find_spec("dvc_ssh") else ["dvc-ssh"]
PRIVILEGE_SEPARATION = "/run/sshd"
"""Which sshd wants of root; a service makes it as it starts."""
SECONDS = 60

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]


def key(path):
    """Make a pair of keys; the line of the public one."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path.with_name(f"{path.name}.pub").read_text()


@pytest.fixture
def sshd(tmp_path, monkeypatch):
    """An sshd, which a user calls `storage` in ~/.ssh/config."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    ssh = tmp_path / "home/.ssh"
    ssh.mkdir(parents=True, mode=0o700)
    (ssh / "authorized_keys").write_text(key(ssh / "id_ed25519"))
    (ssh / "config").write_text(f"Host storage\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n")
    key(tmp_path / "host")
    (tmp_path / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\n"
        f"HostKey {tmp_path / 'host'}\n"
        f"AuthorizedKeysFile {ssh / 'authorized_keys'}\n"
        "AuthenticationMethods publickey\n"
        "PermitRootLogin yes\n"
        "StrictModes no\n"  # /tmp is open to everybody
        "UsePAM no\n"
        "PidFile none\n"
        "Subsystem sftp internal-sftp\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    if os.getuid() == 0:
        os.makedirs(PRIVILEGE_SEPARATION, mode=0o755, exist_ok=True)
    with (tmp_path / "sshd.log").open("w") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", tmp_path / "sshd_config"], stderr=log)
    try:
        end = time.monotonic() + SECONDS
        while "Server listening" not in (said := (tmp_path / "sshd.log").read_text()):
            assert server.poll() is None, said
            assert time.monotonic() < end, said
            time.sleep(0.05)
        yield
    finally:
        server.terminate()
        server.wait()


def test_a_clone_pulls_by_ssh_what_was_pushed_by_ssh(sshd, project, root, tmp_path):
    project.write_test_profile()
    project.set_parameters({"run": ["smoke"]})
    make_up(project)
    versioned(project, root)
    shutil.rmtree(tmp_path / "storage")
    project.run("dvc", "remote", "modify", "storage", "url", f"ssh://storage{tmp_path / 'elsewhere'}")
    git(project, "commit", "--quiet", "--all", "--message", "elsewhere")
    pushed = project.run("dvc", "push")
    assert pushed.returncode == 0, pushed.stdout
    clone = pulled(project, root, tmp_path / "clone")
    for name in ("results/smoke/data/it.json", "results/smoke/checkpoints/fold1-seed0/vae.safetensors"):
        assert (clone.folder / name).read_bytes() == (project.folder / name).read_bytes()
    assert "Accepted publickey" in (tmp_path / "sshd.log").read_text()
