-- A running attempt reports how far it is.
--
-- ARGV from 5: id, token, progress (JSON), phase (a user's own state word, or '')
-- Returns 1 | 0 refused: not the current attempt | -1 unknown
-- Events: PROCESSING with the progress
local rec, token, progress, phase = load(ARGV[5]), ARGV[6], ARGV[7], ARGV[8]
if not rec then return -1 end
if not holds(rec, token) or not rec.started then return 0 end
set_state(rec, 'PROCESSING')
redis.call('HSET', rec.key, 'st', 'PROCESSING', 'p', progress)
if phase ~= '' then redis.call('HSET', rec.key, 'ph', phase) else redis.call('HDEL', rec.key, 'ph') end
emit(rec, 'p', progress)
return 1
