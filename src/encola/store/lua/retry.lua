-- A person runs a finished task again.
--
-- ARGV from 5: id
-- Returns {1, 'PENDING'} | {0, state} it has not finished | {-1, ''} unknown
-- Events: PENDING
local rec = load(ARGV[5])
if not rec then return {-1, ''} end
if not FINISHED[rec.state] then return {0, rec.state} end
run_again(rec)
return {1, 'PENDING'}
