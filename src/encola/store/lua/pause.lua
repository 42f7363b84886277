-- Pauses or resumes a queue, a task type, or a worker (which then drains).
--
-- ARGV from 5: kind ('queue' | 'type' | 'worker'), name, on ('1' | '0'), limit
-- Returns {changed (1 | 0), left}, or {-1, 0} for a worker that is not known
-- left: tasks of a resumed type that are still held. Call again while there are any; the sweep does too.
--
-- Claims leave a paused queue alone. The tasks of a paused type they hold apart, as these come up, so that
-- those behind them go on. What a worker has taken already runs.
local kind, name, on, limit = ARGV[5], ARGV[6], ARGV[7] == '1', tonumber(ARGV[8])
local word = kind .. ':' .. name
if kind == 'worker' and not redis.call('ZSCORE', WORKERS, name) then return {-1, 0} end
if on then
  if kind == 'type' then redis.call('SREM', PAUSED, 'resuming:' .. name) end
  return {redis.call('SADD', PAUSED, word), 0}
end
local changed = redis.call('SREM', PAUSED, word)
if kind == 'queue' then wake(name) end
local left = 0
if kind == 'type' then
  if changed == 1 then redis.call('SADD', PAUSED, 'resuming:' .. name) end
  if redis.call('SISMEMBER', PAUSED, 'resuming:' .. name) == 1 then left = give_back(name, limit) end
end
return {changed, left}
