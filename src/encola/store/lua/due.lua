-- Which schedules are due. Changes nothing.
--
-- ARGV from 5: limit, then the ids of those that are asked for
-- Returns {now_ms, ms of the next one that is due later or -1, then up to limit, as they are due:
--   {id, due_ms, plan, message, rule}}
local limit, asked = tonumber(ARGV[5]), {}
for a = 6, #ARGV do asked[ARGV[a]] = true end
local out = {NOW, -1}
local all = redis.call('ZRANGE', SCHEDULES, 0, -1, 'WITHSCORES')
for i = 1, #all, 2 do
  local id, due = all[i], tonumber(all[i + 1])
  if asked[id] then
    if due > NOW then
      out[2] = due
      break
    end
    if #out - 2 == limit then break end
    local f = redis.call('HMGET', schedule_key(id), 'd', 'm', 'r')
    out[#out + 1] = {id, due, f[1], f[2], f[3]}
  end
end
return out
