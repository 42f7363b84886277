"""encola, as `encola worker` starts with no option."""

from encola import task


@task
def nothing() -> None:
    pass


@task
def marked() -> None:
    from mark import mark

    mark()


send_nothing, send_marked = nothing.enqueue, marked.enqueue
