"""A mailbox on the disk, for tests: putting mails in, and looking at them as they lie there."""

from __future__ import annotations

from pathlib import Path

from encola.embedded.maildir import open_mail
from encola.embedded.maildir_writer import MaildirWriter


def keep_mail(folder: Path, mail: bytes, recipient: str = "ana@example.com") -> str:
    writer = MaildirWriter(folder)
    writer.prepare()
    return writer.keep(mail, sender="encola@localhost", recipients=[recipient])


def raw_mail(folder: Path, mail_id: str) -> bytes | None:
    file = open_mail(folder, mail_id)
    if file is None:
        return None
    with file:
        return file.read()
