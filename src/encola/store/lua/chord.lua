-- One part of a chord has its outcome.
--
-- ARGV from 5: group id, part (its index), value (JSON), size ('' = not known yet, '+1' = one part more
--   than was said, or will be), ttl_ms
-- Returns {parts in, size or -1}. A part that comes again replaces itself, so a
-- repeated attempt counts once.
local key, size = P .. 'chord:' .. ARGV[5], ARGV[8]
if ARGV[6] ~= '' then redis.call('HSET', key, 'p' .. ARGV[6], ARGV[7]) end
if size == '+1' then
  redis.call('HINCRBY', key, 'more', 1)
elseif size ~= '' then
  redis.call('HSET', key, 'size', size)
end
redis.call('PEXPIRE', key, ARGV[9])
local known, more = unpack(redis.call('HMGET', key, 'size', 'more'))
local parts = redis.call('HLEN', key) - (known and 1 or 0) - (more and 1 or 0)
return {parts, known and known + (more or 0) or -1}
