"""The embedded mailbox: a real SMTP server, what it keeps, and how that is read."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import smtplib
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from encola.embedded.mailbox import SIZE_LIMIT
from encola.embedded.maildir import list_mail
from encola.mail.delivery import deliver_sync
from encola.mail.message import build_message
from support import wait_until


class Running:
    """A mailbox in a process of its own, as the supervisor starts it."""

    def __init__(self, folder: Path, port: int = 0, setup: str = "") -> None:
        self.folder = folder
        start = "import sys; from encola.embedded import mailbox; sys.exit(mailbox.main())"
        program = ["-c", f"{setup}\n{start}"] if setup else ["-m", "encola.embedded.mailbox"]
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", *program, "--dir", str(folder), "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder.parent,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()

    @property
    def port(self) -> int:
        return int(json.loads(self.first_line)["port"])

    def client(self) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.port, timeout=10)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Exit code and standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=10)
        return self.process.returncode, errors


@contextlib.contextmanager
def _running(folder: Path, port: int = 0, setup: str = "") -> Iterator[Running]:
    box = Running(folder, port, setup)
    try:
        yield box
    finally:
        box.process.kill()
        box.process.communicate()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Running]:
    """A running mailbox on a free port, with an empty folder."""
    with _running(tmp_path / "mail") as running:
        yield running


def _mail(subject: str = "Hola", body: str = "Hola, Ana.") -> EmailMessage:
    return build_message(
        sender="Encola <encola@localhost>",
        to="ana@example.com",
        subject=subject,
        body=body,
        message_id_seed="0199a0b1",
    )


def test_a_mail_is_on_the_disk_before_it_is_acknowledged(box: Running) -> None:
    """The sender's 250 finds it in ``new``, private, complete, with nothing left in ``tmp``."""
    with box.client() as client:
        client.send_message(_mail())
        kept = list((box.folder / "new").iterdir())

    assert 1 == len(kept)
    assert 0o600 == stat.S_IMODE(kept[0].stat().st_mode)
    assert 0o700 == stat.S_IMODE(box.folder.stat().st_mode)
    assert kept[0].read_bytes().endswith(b"--\r\n")
    assert [] == list((box.folder / "tmp").iterdir())


def test_it_says_that_it_is_ready_in_one_line(box: Running) -> None:
    """Who started it reads the port from its standard output, and can connect at once."""

    assert {"event": "ready", "port": box.port} == json.loads(box.first_line)
    with box.client() as client:
        assert 250 == client.noop()[0]


def test_a_worker_can_hand_over_mail_without_an_event_loop(box: Running) -> None:
    """``deliver_sync`` again and again in one process leaves nothing open behind it."""
    for number in range(5):
        url = f"smtp://127.0.0.1:{box.port}"
        deliver_sync(_mail(f"Mail {number}"), smtp_url=url, timeout=5)
    items, _ = list_mail(box.folder, 10)

    assert [f"Mail {number}" for number in (4, 3, 2, 1, 0)] == [item["subject"] for item in items]


def test_the_envelope_decides_whom_a_mail_was_for(box: Running) -> None:
    """Recipients are those that the server was given; what the mail says of itself is not."""
    forged = b"X-RcptTo: eve@example.com\r\nReceived: by eve\r\nTo: all@example.com\r\n\r\nHola\r\n"
    with box.client() as client:
        client.sendmail("encola@localhost", ["ana@example.com", "bea@example.com"], forged)
    (item,), _ = list_mail(box.folder, 1)

    assert ["ana@example.com", "bea@example.com"] == item["to"]
    assert "encola@localhost" == item["from"]


def test_it_listens_on_loopback_only(box: Running) -> None:
    """Nobody else on the network can put mail here."""
    # 127.0.0.2 is this machine too, but not the address that is bound: a server on
    # every address would answer there.
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", box.port), timeout=1)

    with box.client() as client:
        assert 250 == client.noop()[0]


def test_a_mail_of_25_mib_is_taken_and_a_larger_one_refused(box: Running) -> None:
    """The limit holds whether the size is announced or not; the box stays usable after it."""
    line = b"x" * 998 + b"\r\n"
    large = b"Subject: large\r\n\r\n" + line * (SIZE_LIMIT // 1000 - 1)
    with box.client() as client:
        client.sendmail("a@b.c", ["d@e.f"], large)
        with pytest.raises(smtplib.SMTPSenderRefused) as announced:
            client.sendmail("a@b.c", ["d@e.f"], large + line * 3)
        client.rset()
        client.mail("a@b.c")
        client.rcpt("d@e.f")
        unannounced = client.data(large + line * 3)
    items, _ = list_mail(box.folder, 10)

    assert 552 == announced.value.smtp_code
    assert 552 == unannounced[0]
    assert ["large"] == [item["subject"] for item in items]
    assert [] == list((box.folder / "tmp").iterdir())


def test_half_a_mail_is_no_mail(box: Running) -> None:
    """A sender that dies in the middle leaves nothing behind."""
    with socket.create_connection(("127.0.0.1", box.port), timeout=5) as raw:
        stream = raw.makefile("rwb")
        for command in (b"", b"EHLO x\r\n", b"MAIL FROM:<a@b.c>\r\n", b"RCPT TO:<d@e.f>\r\n"):
            stream.write(command)
            stream.flush()
            while stream.readline()[3:4] == b"-":
                pass
        stream.write(b"DATA\r\n")
        stream.flush()
        assert stream.readline().startswith(b"354")
        stream.write(b"Subject: half\r\n\r\nhalf of i")
        stream.flush()
    with box.client() as client:
        client.send_message(_mail("whole"))
    items, _ = list_mail(box.folder, 10)

    assert ["whole"] == [item["subject"] for item in items]
    assert [] == list((box.folder / "tmp").iterdir())


def test_a_full_disk_is_told_to_the_sender_as_try_again(tmp_path: Path) -> None:
    """451 and not 250, nothing of the mail left; when there is room again, mail is taken."""
    flag = tmp_path / "full"
    setup = f"""
import errno, os, pathlib
real = os.fsync
def fsync(descriptor):
    if pathlib.Path({str(flag)!r}).exists():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    real(descriptor)
os.fsync = fsync
"""
    flag.touch()
    with _running(tmp_path / "mail", setup=setup) as box, box.client() as client:
        with pytest.raises(smtplib.SMTPDataError) as caught:
            client.send_message(_mail())
        left = [path for path in box.folder.rglob("*") if path.is_file()]
        flag.unlink()
        client.send_message(_mail())

        assert 451 == caught.value.smtp_code
        assert (
            b"4.3.0 Not kept: No space left on device. Try again later." == caught.value.smtp_error
        )
        assert [] == left
        assert 1 == len(list_mail(box.folder, 10)[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_at_once_and_quietly_even_with_clients_connected(
    box: Running, number: signal.Signals
) -> None:
    """Exit code 0, no word on standard error, no client kept waiting."""
    client = box.client()
    client.ehlo()
    code, errors = box.stop(number)

    assert (0, "") == (code, errors)
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        client.docmd("NOOP")
    client.close()


def test_a_mail_that_is_being_written_at_a_stop_is_finished_and_answered(tmp_path: Path) -> None:
    """The sender gets its 250 for what lies on the disk, and does not send it again."""
    flag = tmp_path / "writing"
    setup = f"""
import os, pathlib, time
real = os.fsync
def fsync(descriptor):
    pathlib.Path({str(flag)!r}).touch()
    time.sleep(0.2)
    real(descriptor)
os.fsync = fsync
"""
    outcome: list[object] = []
    with _running(tmp_path / "mail", setup=setup) as box:

        def send() -> None:
            with box.client() as client:
                outcome.append(client.send_message(_mail()))

        sender = threading.Thread(target=send)
        sender.start()
        wait_until(flag.exists, description="the mail is being written")
        code, _ = box.stop()
        sender.join(5)

        assert 0 == code
        assert [{}] == outcome
        assert 1 == len(list_mail(box.folder, 10)[0])


def test_killed_and_started_again_it_has_all_it_acknowledged(tmp_path: Path) -> None:
    """SIGKILL after a 250 loses nothing; the same folder is taken up again."""
    with _running(tmp_path / "mail") as box, box.client() as client:
        client.send_message(_mail("first"))
        box.process.kill()
    with _running(tmp_path / "mail") as again, again.client() as client:
        client.send_message(_mail("second"))
    items, _ = list_mail(tmp_path / "mail", 10)

    assert ["second", "first"] == [item["subject"] for item in items]


def test_a_taken_port_ends_it_with_one_sentence(tmp_path: Path) -> None:
    """Exit code 1 and what to look at, without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with _running(tmp_path / "mail", port) as box:
            _, errors = box.process.communicate(timeout=10)

    assert 1 == box.process.returncode
    assert f"The mailbox cannot use 127.0.0.1:{port}: Address already in use.\n" == errors


def test_a_folder_that_cannot_be_made_ends_it_with_one_sentence(tmp_path: Path) -> None:
    """Exit code 2 and the folder's name, without a traceback: another start would not help."""
    (tmp_path / "file").write_text("in the way")
    folder = tmp_path / "file" / "mail"
    process = subprocess.run(
        [sys.executable, "-m", "encola.embedded.mailbox", "--dir", str(folder)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )

    assert 2 == process.returncode
    assert f"The mailbox cannot use {folder}: Not a directory.\n" == process.stderr


def test_in_a_data_folder_it_logs_where_the_others_log(tmp_path: Path) -> None:
    """One line a mail, without its content."""
    (tmp_path / "logs").mkdir()
    with _running(tmp_path / "mail") as box:
        with box.client() as client:
            client.send_message(_mail(subject="private"))
        box.stop()
    log = (tmp_path / "logs" / "mailbox.log").read_text()

    assert 1 == len(re.findall(r"Kept mail \S+ to ana@example\.com, \d+ bytes", log))
    assert "private" not in log
