-- A person runs a finished task again.
--
-- ARGV from 5: id, most tasks that may wait
-- Returns {1, 'PENDING'} | {0, state} it has not finished | {-1, ''} unknown
--   | {'full', waiting} | {'taken', queue, type of the key there}; then nothing was done
-- Events: PENDING
local rec = load(ARGV[5])
if not rec then return {-1, ''} end
if not FINISHED[rec.state] then return {0, rec.state} end
local refused = refusal(tonumber(ARGV[6]), 1, {{rec.queue, rec.priority}})
if refused then return refused end
run_again(rec)
return {1, 'PENDING'}
