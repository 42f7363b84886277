-- A task that was never sent has its end all the same: a later link of a chain that broke.
-- Whoever waits for it must hear of the failure; so must a task that replaced itself with that chain.
--
-- ARGV from 5: id, message, queue, type, error (JSON), error code,
--   children (JSON of what was sent on its behalf, its errbacks, for AsyncResult; '' = none)
-- Returns 1 recorded | 0 the id is known: nothing was done
-- Events: PENDING (of a new record), FAILURE
local id, failure, code = ARGV[5], ARGV[9], ARGV[10]
local rec = load(id)
if rec and not rec.awaits then return 0 end
if rec and rec.worker then
  -- Its attempt has not ended yet: confirm.lua ends the task with it.
  redis.call('HSET', rec.key, 'rp', cjson.encode({failure, code}))
  return 1
end
if rec then
  leave_place(rec)
else
  rec = create(id, ARGV[6], ARGV[7], 0, ARGV[8], '', '')
  set_state(rec, 'PENDING')
  count(rec, 'enqueued')
  emit(rec)
end
if ARGV[11] ~= '' then redis.call('HSET', rec.key, 'ch', ARGV[11]) end
to_finished(rec, 'FAILURE', 'e', failure, code, false)
return 1
