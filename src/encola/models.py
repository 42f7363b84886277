"""The lesson's five models: what its routes take and give."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from .tasks.email import EmailAddress, Subject
from .tasks.files import FilePath, UserId


class TaskStatus(StrEnum):
    """The lesson's word for where a task is."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class EmailRequest(BaseModel):
    """One e-mail to one address."""

    model_config = ConfigDict(extra="forbid")

    email: EmailAddress
    subject: Subject
    body: str


class FileProcessRequest(BaseModel):
    """A file to process for a user."""

    model_config = ConfigDict(extra="forbid")

    file_path: FilePath
    user_id: UserId


class TaskResponse(BaseModel):
    """A task was accepted."""

    task_id: str
    status: TaskStatus
    created_at: dt.datetime
    message: str


class TaskResult(BaseModel):
    """How a task stands."""

    task_id: str
    status: TaskStatus
    result: dict[str, Any] | None = None
    error: str | None = None
    started_at: dt.datetime | None = None
    completed_at: dt.datetime | None = None
