-- Cancels a task, wherever it is. A running one loses its lease at once, and its
-- worker is told to stop it; what it still tries to write is fenced.
--
-- ARGV from 5: id, waiting_only ('1': leave alone what has started), code (error_code of the record)
-- Returns {1, 'REVOKED'} cancelled now | {2, 'REVOKED'} was cancelled before |
-- {0, state} it has another outcome, or has started | {-1, ''} unknown
-- Events: REVOKED
local rec = load(ARGV[5])
if not rec then return {-1, ''} end
if rec.state == 'REVOKED' then return {2, rec.state} end
if FINISHED[rec.state] or (rec.started and ARGV[6] == '1') then return {0, rec.state} end
if rec.worker then
  local inbox = P .. 'inbox:' .. rec.worker
  redis.call('LPUSH', inbox, rec.token .. ' ' .. rec.id)
  redis.call('PEXPIRE', inbox, 600000)
end
leave_place(rec)
close_attempt(rec, 'cancelled')
to_finished(rec, 'REVOKED', 'e', '', ARGV[7], false)
return {1, 'REVOKED'}
