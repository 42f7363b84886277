-- A running attempt publishes its own task anew (retry, replace): kept until the attempt
-- settles, and then the task's next run. Flagged allow-oom: what was accepted must be able to go on.
--
-- ARGV from 5: id, token, message, due_ms ('' = at once)
-- Returns 1 kept | 0 not the current attempt: nothing was done | -1 unknown
local rec = load(ARGV[5])
if not rec then return -1 end
if not holds(rec, ARGV[6]) then return 0 end
redis.call('HSET', rec.key, 'nx', ARGV[7], 'nd', tonumber(ARGV[8]) or 0)
return 1
