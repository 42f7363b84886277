-- An attempt begins to run.
--
-- ARGV from 5: id, token
-- Returns 1 started | 2 had started (a repeated call) | 0 refused: cancelled,
-- finished, or under another token | -1 unknown
-- Events: STARTED
local rec, token = load(ARGV[5]), ARGV[6]
if not rec then return -1 end
if not holds(rec, token) then return 0 end
if rec.started then return 2 end
rec.attempt = rec.attempt + 1
rec.started = NOW
set_state(rec, 'STARTED')
redis.call('HSET', rec.key, 'st', 'STARTED', 'sa', NOW_TEXT, 'an', rec.attempt)
emit(rec)
return 1
