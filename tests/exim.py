"""
Exim, Debian's mail server, started by the tests: somebody else's idea of SMTP.

Runs in a folder of its own, on a free port of the loopback address, as the user of the
tests or, where that is root, as Debian's user for it. Asks for STARTTLS and a login,
keeps what it takes in a Maildir, and refuses at any step when a file tells it to.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Final

from encola.embedded.ports import free_port
from mail_servers import make_certificate
from support import GUARD, wait_until

BINARY: Final = "/usr/sbin/exim4"
USER: Final = "ana@shop"
PASSWORD: Final = "s3cret/word"
LOGIN: Final = "ana%40shop:s3cret%2Fword"

#: Exim's name of the moment -> what our errors call the step.
STEPS: Final = {
    "connect": "the connection",
    "helo": "our greeting",
    "starttls": "STARTTLS",
    "auth": "the login",
    "mail": "the sender",
    "rcpt": "the recipient",
    "predata": "the mail",
    "data": "the mail",  # all of it was sent
}

CONFIGURATION: Final = """
exim_user = {user}
exim_group = {group}
primary_hostname = mx.test
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/pid
keep_environment =
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
deliver_drop_privilege = true
host_lookup =
log_selector = +smtp_connection
tls_certificate = {folder}/cert.pem
tls_privatekey = {folder}/key.pem
tls_advertise_hosts = *
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
{hooks}
begin acl
{acls}
begin routers
everybody:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = {folder}/mail
  user = {user}
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{login}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
"""

ACL: Final = """
acl_{step}:
  deny   condition = ${{if exists{{{folder}/mood/deny.{step}}}}}
         message = ${{readfile{{{folder}/mood/deny.{step}}}}}
  defer  condition = ${{if exists{{{folder}/mood/defer.{step}}}}}
         message = ${{readfile{{{folder}/mood/defer.{step}}}}}
{more}  accept
"""
WHO_ARE_YOU: Final = """  deny   !authenticated = *
         message = 530 5.7.0 Log in first
"""


class Exim:
    """A running Exim."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port

    def url(self, login: str = LOGIN) -> str:
        ca = self.folder / "cert.pem"
        return f"smtp://{login}@localhost:{self.port}?starttls=required&ca={ca}"

    def refuse(self, step: str, words: str) -> None:
        """Says *words* at *step* from now on: "deny" for those with 5, "defer" for those with 4."""
        kind = "deny" if words.startswith("5") else "defer"
        (self.folder / "mood" / f"{kind}.{step}").write_text(words)

    def be_kind(self) -> None:
        for file in (self.folder / "mood").iterdir():
            file.unlink()

    def mails(self, to: str) -> list[EmailMessage]:
        """What it has delivered to *to*."""
        found = [
            message_from_bytes(path.read_bytes(), policy=policy.default)
            for path in (self.folder / "mail").glob("new/*")
        ]
        return [mail for mail in found if mail["To"] == to]

    def log(self) -> list[str]:
        return (self.folder / "log/mainlog").read_text().splitlines()


@contextmanager
def running_exim() -> Iterator[Exim]:
    owner = "Debian-exim" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    # Not under pytest's own folder, which another user cannot enter.
    folder = Path(tempfile.mkdtemp(prefix="exim-"))
    exim = Exim(folder, free_port("127.0.0.1"))
    _furnish(exim, pwd.getpwnam(owner))
    guard = subprocess.Popen(
        ["/bin/sh", "-c", GUARD, "guard", BINARY, "-C", str(folder / "exim.conf"), "-bdf"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=owner,
        group=pwd.getpwnam(owner).pw_gid,
        start_new_session=True,
    )
    try:
        wait_until((folder / "pid").exists, description="Exim listens")
        yield exim
    finally:
        assert guard.stdin
        guard.stdin.close()
        guard.wait(timeout=10)
        shutil.rmtree(folder, ignore_errors=True)


def _furnish(exim: Exim, owner: pwd.struct_passwd) -> None:
    folder = exim.folder
    make_certificate(folder)
    for name in ("spool", "log", "mail", "mood"):
        (folder / name).mkdir()
    more = {"mail": WHO_ARE_YOU}
    configuration = CONFIGURATION.format(
        folder=folder,
        port=exim.port,
        user=owner.pw_name,
        group=owner.pw_gid,
        login=USER,
        password=PASSWORD,
        hooks="\n".join(f"acl_smtp_{step} = acl_{step}" for step in STEPS),
        acls="".join(
            ACL.format(step=step, folder=folder, more=more.get(step, "")) for step in STEPS
        ),
    )
    (folder / "exim.conf").write_text(configuration)
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid)
