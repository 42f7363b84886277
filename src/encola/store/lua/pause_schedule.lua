-- Pauses or resumes a schedule.
--
-- ARGV from 5: id, on ('1' | '0'), due_ms (its next time, counted from now; used where it is resumed)
-- Returns 1 changed | 0 it was so already | -1 unknown
-- Resumed, it goes on with its next time: what passed meanwhile was not missed, but meant.
local key = schedule_key(ARGV[5])
if redis.call('EXISTS', key) == 0 then return -1 end
if ARGV[6] == '1' then return redis.call('HSETNX', key, 'pa', NOW) end
local resumed = redis.call('HDEL', key, 'pa')
if resumed == 1 and tonumber(redis.call('ZSCORE', SCHEDULES, ARGV[5])) <= NOW then
  redis.call('ZADD', SCHEDULES, ARGV[7], ARGV[5])
end
return resumed
