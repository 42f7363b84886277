"""
The lesson's way: `.delay()` inside `async def`, Kombu's own Redis transport, Redis result backend.

    uvicorn lesson:app
"""

import os
from datetime import datetime

from celery import Celery
from fastapi import FastAPI
from pydantic import BaseModel

queue = Celery("lesson", broker=os.environ["BENCH_URL"], backend=os.environ["BENCH_URL"])
app = FastAPI()


class EmailRequest(BaseModel):
    email: str
    subject: str
    body: str


class TaskResponse(BaseModel):
    task_id: str
    status: str
    created_at: datetime
    message: str


@queue.task
def send_notification_email(email: str, subject: str, body: str) -> dict[str, str]:
    return {"status": "sent", "email": email}


@app.post("/tasks/email/celery", response_model=TaskResponse)
async def send_email_celery(request: EmailRequest) -> TaskResponse:
    task = send_notification_email.delay(request.email, request.subject, request.body)
    return TaskResponse(
        task_id=task.id,
        status="pending",
        created_at=datetime.now(),  # noqa: DTZ005 - as the lesson has it
        message="Email programado con Celery",
    )
