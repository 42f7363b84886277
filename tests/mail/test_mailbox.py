"""The embedded mailbox: a real SMTP server, what it keeps, and how that is read."""

from __future__ import annotations

import contextlib
import errno
import json
import mailbox as stdlib_mailbox
import os
import re
import signal
import smtplib
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path

import pytest

from encola.embedded import maildir
from encola.embedded.mailbox import SIZE_LIMIT, MaildirWriter
from encola.embedded.maildir import list_mail, raw_mail, read_mail
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


def _keep(folder: Path, mail: bytes, recipient: str = "ana@example.com") -> str:
    writer = MaildirWriter(folder)
    writer.prepare()
    return writer.keep(mail, sender="encola@localhost", recipients=[recipient])


# The server


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
    """Within two seconds, exit code 0, no word on standard error, no client kept waiting."""
    client = box.client()
    client.ehlo()
    started = time.monotonic()
    code, errors = box.stop(number)

    assert (0, "") == (code, errors)
    assert 2 > time.monotonic() - started
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
    """Exit code 1 and the folder's name, without a traceback."""
    (tmp_path / "file").write_text("in the way")
    folder = tmp_path / "file" / "mail"
    process = subprocess.run(
        [sys.executable, "-m", "encola.embedded.mailbox", "--dir", str(folder)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )

    assert 1 == process.returncode
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


# The writer


def test_other_mail_programs_can_read_the_folder(tmp_path: Path) -> None:
    """It is a Maildir as the standard library understands it."""
    _keep(tmp_path, _mail().as_bytes())
    box = stdlib_mailbox.Maildir(tmp_path, create=False)

    assert ["Hola"] == [message["Subject"] for message in box]


def test_a_mail_that_another_program_has_moved_is_still_found(tmp_path: Path) -> None:
    """Seen mail lies in ``cur`` with its flags; its id here stays the same."""
    mail_id = _keep(tmp_path, _mail().as_bytes())
    (tmp_path / "new" / mail_id).rename(tmp_path / "cur" / f"{mail_id}:2,S")

    assert [mail_id] == [item["id"] for item in list_mail(tmp_path, 10)[0]]
    assert raw_mail(tmp_path, mail_id) is not None


def test_a_failed_write_leaves_nothing_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error reaches the caller; neither ``tmp`` nor ``new`` has a part of the mail."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    writer = MaildirWriter(tmp_path)
    writer.prepare()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        writer.keep(b"Subject: x\r\n\r\n", sender="a@b.c", recipients=["d@e.f"])

    assert [] == [path for path in tmp_path.rglob("*") if path.is_file()]


def test_old_leftovers_are_swept_and_fresh_ones_left(tmp_path: Path) -> None:
    """What a crash left in ``tmp`` goes after 36 hours; another program may be writing the rest."""
    writer = MaildirWriter(tmp_path)
    writer.prepare()
    old, fresh = tmp_path / "tmp" / "old", tmp_path / "tmp" / "fresh"
    for path, age in ((old, 37), (fresh, 35)):
        path.touch()
        os.utime(path, (0, time.time() - age * 3600))
    writer.prepare()

    assert (False, True) == (old.exists(), fresh.exists())


# The reader


def test_a_folder_that_does_not_exist_yet_is_an_empty_mailbox(tmp_path: Path) -> None:
    """Before the first mail there is nothing to list and nothing to fail on."""

    assert ([], None) == list_mail(tmp_path / "mail", 10)
    assert read_mail(tmp_path / "mail", "1795338000.M123456P1Rdeadbeef") is None


def test_a_mail_has_the_fields_of_the_contract(tmp_path: Path) -> None:
    """Names and forms are those of ``GET /mailbox`` and ``GET /mailbox/{id}``."""
    before = time.time()
    mail_id = _keep(tmp_path, _mail("Año", "Uno\nDos").as_bytes())
    (item,), cursor = list_mail(tmp_path, 1)
    mail = read_mail(tmp_path, mail_id)
    raw = raw_mail(tmp_path, mail_id)

    assert cursor is None
    assert raw is not None
    assert {
        "id": mail_id,
        "from": "Encola <encola@localhost>",
        "to": ["ana@example.com"],
        "subject": "Año",
        "received_at": item["received_at"],
        "size": len(raw),
    } == item
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", item["received_at"])
    received = datetime.fromisoformat(item["received_at"]).timestamp()
    assert before - 0.001 <= received <= time.time()
    assert mail is not None
    assert {*item, "text", "html"} == set(mail)
    assert "Uno\nDos\n" == mail["text"]


def test_pages_are_newest_first_and_meet_without_gap_or_overlap(tmp_path: Path) -> None:
    """Mail that comes in while somebody turns pages shifts nothing."""
    writer = MaildirWriter(tmp_path)
    writer.prepare()
    names = [
        writer.keep(b"Subject: %d\r\n\r\n" % n, sender="a@b.c", recipients=["d@e.f"])
        for n in range(7)
    ]
    seen: list[str] = []
    page, cursor = list_mail(tmp_path, 3)
    seen += [item["id"] for item in page]
    writer.keep(b"Subject: late\r\n\r\n", sender="a@b.c", recipients=["d@e.f"])
    while cursor is not None:
        page, cursor = list_mail(tmp_path, 3, cursor)
        seen += [item["id"] for item in page]

    assert names[::-1] == seen


def test_a_page_that_ends_with_the_last_mail_has_no_next(tmp_path: Path) -> None:
    """No empty page follows."""
    for _ in range(2):
        _keep(tmp_path, b"Subject: x\r\n\r\n")

    assert list_mail(tmp_path, 2)[1] is None
    assert list_mail(tmp_path, 1)[1] is not None


def test_a_page_of_a_large_box_opens_only_its_own_mails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 3,000 mails a page of 5 opens 5."""
    MaildirWriter(tmp_path).prepare()
    for number in range(3000):
        (tmp_path / "new" / f"1795338000.M{number:06d}P1Rdeadbeef").write_bytes(b"Subject: x\n\n")
    opened: list[Path] = []
    real = maildir._read_file

    def counted(path: Path, limit: int | None) -> tuple[bytes, int] | None:
        opened.append(path)
        return real(path, limit)

    monkeypatch.setattr(maildir, "_read_file", counted)
    items, _ = list_mail(tmp_path, 5)

    assert (5, 5) == (len(items), len(opened))
    assert "2026-11-22T09:00:00.002999Z" == items[0]["received_at"]


@pytest.mark.parametrize(
    "mail_id",
    [
        "",
        ".",
        "..",
        "../new/1795338000.M123456P1Rdeadbeef",
        "../../secret",
        "/etc/passwd",
        "new/1795338000.M123456P1Rdeadbeef",
        "1795338000.M123456P1Rdeadbeef\x00",
        "1795338000.M123456P1Rdeadbeef\n",
        "1795338000.M123456P1Rdeadbeef:2,S",
        "1795338000.M123456P1R0000000g",
        "*",
        "\ud800",
        "x" * 5000,
        "١795338000.M123456P1Rdeadbeef",
    ],
)
def test_an_id_that_is_not_one_of_ours_is_no_mail(tmp_path: Path, mail_id: str) -> None:
    """Whatever a client puts into the path, nothing outside of the folder is read."""
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "box"
    MaildirWriter(folder).prepare()
    (folder / "new" / "1795338000.M123456P1Rdeadbeef").write_text("Subject: x\n\n")

    assert read_mail(folder, mail_id) is None
    assert raw_mail(folder, mail_id) is None


def test_a_link_or_a_pipe_in_the_folder_is_no_mail(tmp_path: Path) -> None:
    """A name of ours that leads elsewhere is not followed, and a pipe does not hang us."""
    (tmp_path / "secret").write_text("Subject: secret\n\n")
    folder = tmp_path / "box"
    MaildirWriter(folder).prepare()
    link, pipe = "1795338000.M000001P1Rdeadbeef", "1795338000.M000002P1Rdeadbeef"
    (folder / "new" / link).symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "new" / pipe)

    assert ([], None) == list_mail(folder, 10)
    assert (None, None) == (raw_mail(folder, link), raw_mail(folder, pipe))


@pytest.mark.parametrize("cursor", ["", "x", "../x", "1795338000"])
def test_a_cursor_that_we_did_not_make_is_an_error(tmp_path: Path, cursor: str) -> None:
    """It is refused, rather than taken for the beginning."""
    with pytest.raises(ValueError) as caught:
        list_mail(tmp_path, 10, cursor)

    assert "unknown cursor; take it from next_cursor of the page before" == str(caught.value)


@pytest.mark.parametrize(
    ("mail", "subject", "text"),
    [
        (b"", "", None),
        (b"\r\n\r\n", "", "\n"),
        (b"no headers at all", "", "no headers at all"),
        (b"Subject: =?utf-8?q?half\r\n\r\nx", "=?utf-8?q?half", "x"),
        (b"Subject: =?x-none?b?AAAA?=\r\n\r\nx", None, "x"),
        (b"Subject: a\r\n b\r\n\r\nx", "a b", "x"),
        ("Subject: ñandú\r\n\r\nñ".encode(), "ñandú", "ñ"),
        (b"Subject: \xff\xfe\r\n\r\n\xff", "\ufffd\ufffd", "\ufffd"),
        (b"Content-Type: text/plain; charset=x-none\r\n\r\n\xc3\xb1", "", "ñ"),
        (b"Content-Type: text/plain; charset=\x00\r\n\r\nx", "", "x"),
        (b"Content-Transfer-Encoding: base64\r\n\r\n!!!", "", None),
        (b"Content-Type: multipart/mixed\r\n\r\nno boundary", "", None),
        (b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx", "", "x"),
        (b"From: <\r\nFrom: a@\r\nTo: @@\r\nSubject: s\r\n\r\nx", "s", "x"),
        (b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner", "", "inner"),
    ],
)
def test_a_malformed_mail_is_shown_as_well_as_it_can_be(
    tmp_path: Path, mail: bytes, subject: str | None, text: str | None
) -> None:
    """No mail that anybody can send breaks the list or itself; all of it can be written as JSON."""
    mail_id = _keep(tmp_path, mail)
    shown = read_mail(tmp_path, mail_id)
    items, _ = list_mail(tmp_path, 10)

    assert shown is not None
    json.dumps([shown, items], ensure_ascii=False).encode()
    assert ["ana@example.com"] == items[0]["to"]
    if subject is not None:
        assert subject == shown["subject"]
    if text is not None:
        assert text == shown["text"]


def test_an_attachment_is_not_taken_for_the_text(tmp_path: Path) -> None:
    """A mail of an attachment alone has no text."""
    mail = EmailMessage()
    mail.add_attachment("not the text", filename="notes.txt")
    shown = read_mail(tmp_path, _keep(tmp_path, mail.as_bytes()))

    assert shown is not None
    assert (None, None) == (shown["text"], shown["html"])
