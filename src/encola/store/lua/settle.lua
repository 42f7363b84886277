-- Writes the outcome of an attempt, with its acknowledgement, statistics and event.
--
-- ARGV from 5: id, token, state (SUCCESS FAILURE REVOKED RETRY), value (JSON of the result or the error),
--   error code ('' = none), due_ms (RETRY without a next delivery of its own: when; else ''),
--   children (JSON of the results it published, for AsyncResult; '' = none)
-- Returns 1 written | 2 it was written before, by this very attempt | 0 fenced:
-- not the current attempt, nothing changed | -1 unknown
-- Events: the state
local rec, token, state, value, code = load(ARGV[5]), ARGV[6], ARGV[7], ARGV[8], ARGV[9]
if not rec then return -1 end
if not holds(rec, token) then
  return (not rec.worker and rec.token == tonumber(token) and rec.state == state) and 2 or 0
end
leave_place(rec)
if ARGV[11] ~= '' then redis.call('HSET', rec.key, 'ch', ARGV[11]) end
if state == 'RETRY' then
  close_attempt(rec, state)
  rec.retries = redis.call('HINCRBY', rec.key, 'rn', 1)
  redis.call('HSET', rec.key, 'e', value, 'ec', code)
  if not deliver_next(rec) then
    local due = tonumber(ARGV[10])
    if due and due > NOW then to_delayed(rec, due) else to_ready(rec, false) end
  end
  count(rec, 'RETRY')
  emit(rec, 'e', code)
  return 1
end
-- Under the last failure of a task that then succeeded there is nothing to explain.
if state == 'SUCCESS' and rec.retries > 0 then redis.call('HDEL', rec.key, 'e', 'ec') end
to_finished(rec, state, state == 'SUCCESS' and 'r' or 'e', value, code, false, state)
return 1
