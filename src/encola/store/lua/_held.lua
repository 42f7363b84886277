-- What is held of a task type goes back to its queues. Needs _record.lua and _places.lua.

-- Moves up to `limit` tasks of a resumed type to the head of their queues; returns how many are left.
-- The last accepted ones first, so that in the end the first one is first.
local function give_back(type_name, limit)
  local left = 0
  for _, member in ipairs(redis.call('SMEMBERS', HELD)) do
    if string.sub(member, 1, #type_name + 1) == type_name .. '\31' then
      local key = P .. 'held:' .. member
      -- Up to -1 would mean up to the end.
      for _, id in ipairs(limit > 0 and redis.call('ZRANGE', key, 0, limit - 1, 'REV') or {}) do
        limit = limit - 1
        local rec = load(id)
        redis.call('ZREM', key, id)
        if rec and rec.place == 'held' then to_ready(rec, true) end
      end
      local rest = redis.call('ZCARD', key)
      if rest == 0 then redis.call('SREM', HELD, member) end
      left = left + rest
    end
  end
  if left == 0 then redis.call('SREM', PAUSED, 'resuming:' .. type_name) end
  return left
end
