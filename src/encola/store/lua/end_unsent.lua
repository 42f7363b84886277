-- A task that was never sent has its end all the same: a later link of a chain that broke.
-- Whoever waits for it must hear of the failure.
--
-- ARGV from 5: id, message, queue, type, error (JSON), error code
-- Returns 1 recorded | 0 the id is known: nothing was done
-- Events: PENDING, FAILURE
local id = ARGV[5]
if redis.call('EXISTS', record_key(id)) == 1 then return 0 end
local rec = create(id, ARGV[6], ARGV[7], 0, ARGV[8], '', '')
set_state(rec, 'PENDING')
count(rec, {'enqueued'})
emit(rec)
to_finished(rec, 'FAILURE', 'e', ARGV[9], ARGV[10], false)
return 1
