-- A running attempt is about to replace its task: the next message with its id is no duplicate.
-- It may be sent by another task (the last link of a chain), before this attempt ends or long after.
--
-- ARGV from 5: id, token
-- Returns 1 noted | 0 not the current attempt: nothing was done | -1 unknown
local rec = load(ARGV[5])
if not rec then return -1 end
if not holds(rec, ARGV[6]) then return 0 end
redis.call('HSET', rec.key, 'rp', '1')
return 1
