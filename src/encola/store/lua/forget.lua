-- Removes the schedules that no program declares any more.
--
-- ARGV from 5: none
-- Returns their ids. What they have enqueued stays.
local gone = {}
for _, id in ipairs(redis.call('ZRANGE', SCHEDULES, 0, -1)) do
  if tonumber(redis.call('HGET', schedule_key(id), 'au') or 0) < NOW then
    redis.call('ZREM', SCHEDULES, id)
    redis.call('DEL', schedule_key(id), P .. 'ran:' .. id)
    gone[#gone + 1] = id
  end
end
return gone
