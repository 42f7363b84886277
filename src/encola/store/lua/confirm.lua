-- What Celery's acknowledgement means where the attempt wrote no outcome of its own.
-- An acknowledgement never ends a task by itself: this decides how it ends.
--
-- ARGV from 5, three a task: id, token, how:
--   'ignored'      the task raised Ignore             -> REVOKED, code ignored; where it has replaced itself
--                  by a chain or a group (expect.lua), it waits for the last part
--   'rejected'     Reject(requeue=False)              -> FAILURE, code rejected
--   'requeued'     Reject(requeue=True)               -> waits 1 s, 2 s, … 60 s, then again
--   'retried'      Task.retry, of a task that ignores its result (of others the child writes it) -> the next delivery
--   'unreadable'   the body cannot be decoded         -> dead, code undeliverable
--   'unknown'      no worker here knows its name      -> waits 30 s (a rolling deploy); dead after a day
-- In each case a next delivery that the attempt published comes first.
-- Returns one number a task: 1 decided here | 0 nothing to decide (settled already, or fenced)
local DAY_MS = 86400000
local out = {}
for a = 5, #ARGV, 3 do
  local rec, token, how = load(ARGV[a]), ARGV[a + 1], ARGV[a + 2]
  if not (rec and holds(rec, token)) then
    out[#out + 1] = 0
  else
    leave_place(rec)
    local is_retry = how == 'retried'
    close_attempt(rec, is_retry and 'RETRY' or how)
    if is_retry then
      rec.retries = redis.call('HINCRBY', rec.key, 'rn', 1)
      count(rec, 'RETRY')
    end
    if deliver_next(rec) then
      emit(rec)
    elseif how == 'ignored' and rec.awaits == '1' then
      to_awaiting(rec)
      emit(rec)
    elseif how == 'ignored' and rec.awaits then
      local broken = cjson.decode(rec.awaits)
      to_finished(rec, 'FAILURE', 'e', broken[1], broken[2], false)
    elseif is_retry then
      to_ready(rec, false)
      emit(rec)
    elseif how == 'requeued' then
      local times = redis.call('HINCRBY', rec.key, 'rq', 1)
      to_delayed(rec, NOW + math.min(60000, 1000 * 2 ^ (times - 1)))
      emit(rec)
    elseif how == 'unknown' and NOW - rec.created < DAY_MS then
      to_delayed(rec, NOW + 30000)
      emit(rec)
    elseif how == 'unknown' then
      park(rec, 'undeliverable', 'No worker knew this task name for a day.')
    elseif how == 'unreadable' then
      park(rec, 'undeliverable', 'The message could not be decoded.')
    elseif how == 'rejected' then
      to_finished(rec, 'FAILURE', 'e', cjson.encode({type = 'celery.exceptions.Reject', message = 'The task rejected its message.'}), 'rejected', false)
    else
      to_finished(rec, 'REVOKED', 'e', '', 'ignored', false)
    end
    out[#out + 1] = 1
  end
end
return out
