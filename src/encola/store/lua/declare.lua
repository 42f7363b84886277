-- A scheduler says which schedules its program has, and that it is alive. Repeated
-- about ten times as often as a declaration lapses.
--
-- ARGV from 5: scheduler, started_ms (when it started, by the server's clock), held_ms (how long its
--   word counts against another program's; 0 as it stops), kept_ms (how long a schedule outlives its
--   last declaration), then five a schedule:
--   id, plan (JSON), message, rule (what its times follow from), due_ms (its next time)
-- Returns one number a schedule:
--   1 new | 2 its plan is now this one | 0 it was this one already | -1 that of a newer program stays
--
-- Fields of a schedule:
--   d plan, m message, r rule; by, bs, bu: the scheduler whose plan it is, when that one started, and
--   until when its word counts; au: until when anybody's does; pa: when it was paused; mi: times missed
--
-- While two programs are deployed side by side, the plan of the scheduler that started last holds.
-- What its program does not declare is left to those of the older one, until they are gone.
local scheduler, started = ARGV[5], tonumber(ARGV[6])
local held, kept = tonumber(ARGV[7]), tonumber(ARGV[8])

-- After a time without any scheduler, none is forgotten before all could come back.
local last = tonumber(redis.call('HGET', META, 'beat_ms') or 0)
if last > NOW or NOW - last > kept / 3 then
  for _, id in ipairs(redis.call('ZRANGE', SCHEDULES, 0, -1)) do
    redis.call('HSET', schedule_key(id), 'au', NOW + kept)
  end
end
redis.call('HSET', META, 'beat_ms', NOW)

local out = {}
for a = 9, #ARGV, 5 do
  local id, plan, message, rule, due = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4]
  local key = schedule_key(id)
  local f = redis.call('HMGET', key, 'd', 'r', 'by', 'bs', 'bu', 'm')
  local mine = f[3] == scheduler
  local is_newest = not f[4] or started >= tonumber(f[4])
  if not f[1] or mine or is_newest or tonumber(f[5]) < NOW then
    if f[2] ~= rule then redis.call('ZADD', SCHEDULES, due, id) end
    redis.call('HSET', key, 'd', plan, 'm', message, 'r', rule, 'by', scheduler, 'bs', started, 'bu', NOW + held)
    out[#out + 1] = not f[1] and 1 or (f[1] ~= plan or f[6] ~= message) and 2 or 0
  else
    out[#out + 1] = (f[1] ~= plan or f[6] ~= message) and -1 or 0
  end
  redis.call('HSET', key, 'au', NOW + kept)
end
return out
