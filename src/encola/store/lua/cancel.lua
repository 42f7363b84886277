-- Cancels a task, wherever it is.
--
-- ARGV from 5: id, waiting_only ('1': leave alone what has started), code (error_code of the record)
-- Returns {1, 'REVOKED'} cancelled now | {2, 'REVOKED'} was cancelled before |
-- {0, state} it has another outcome, or has started | {-1, ''} unknown
-- Events: REVOKED
local rec = load(ARGV[5])
if not rec then return {-1, ''} end
if rec.state == 'REVOKED' then return {2, rec.state} end
if FINISHED[rec.state] or (rec.started and ARGV[6] == '1') then return {0, rec.state} end
cancel(rec, ARGV[7])
return {1, 'REVOKED'}
