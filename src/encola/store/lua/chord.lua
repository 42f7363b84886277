-- One part of a chord has its outcome.
--
-- ARGV from 5: group id, part (its index), value (JSON), size ('' = not known yet, '+1' = one part more
--   than was said, or will be), ttl_ms, sending of the part ('' = none; encola/engine/sending.py)
-- Returns {parts in, size or -1, round}. A part that comes again replaces itself, so a
-- repeated attempt counts once. Where all were in and one comes by another sending, the chord
-- was sent anew: the next round, which begins with this part.
local key, part, size, by = P .. 'chord:' .. ARGV[5], 'p' .. ARGV[6], ARGV[8], ARGV[10]

local function progress()
  local known, more = unpack(redis.call('HMGET', key, 'size', 'more'))
  local others = redis.call('HEXISTS', key, 'round') + (known and 1 or 0) + (more and 1 or 0)
  return redis.call('HLEN', key) - others, known and known + (more or 0) or -1
end

local function next_round()
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, 1) == 'p' then redis.call('HDEL', key, field) end
  end
  redis.call('HDEL', key, 'more')
  redis.call('HINCRBY', key, 'round', 1)
end

if ARGV[6] ~= '' then
  local before = redis.call('HGET', key, part)
  if before and string.match(before, '^[^\n]*') ~= by then
    local parts, known = progress()
    if known >= 0 and parts >= known then next_round() end
  end
  redis.call('HSET', key, part, by .. '\n' .. ARGV[7])
end
if size == '+1' then
  redis.call('HINCRBY', key, 'more', 1)
elseif size ~= '' then
  redis.call('HSET', key, 'size', size)
end
redis.call('PEXPIRE', key, ARGV[9])
local parts, known = progress()
return {parts, known, tonumber(redis.call('HGET', key, 'round') or 0)}
