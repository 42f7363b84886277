-- The store's housekeeping, asked for by every worker and API process about once
-- a second; one of them a second does it.
--
-- ARGV from 5: lease_ms, limit (entries touched a step), then the queues
-- 1. If nobody swept for a third of a lease, the server or everyone stood still:
--    every worker gets a full lease to come back before anybody is rescued. Nobody has more than that.
-- 2. Delayed tasks whose time has come go to their queues.
-- 3. Envelopes of stock producers that wait in a list become records: the newest, and some of those below.
-- 4. What is held of types that were resumed goes back to its queues.
-- 5. Tasks of workers whose lease ran out go back to the head of their queues
--    with a crash counted; a worker with nothing left is forgotten.
-- Returns {swept (0: another did it just now), promoted, adopted, rescued, ends that are untold}
local lease_ms, limit = tonumber(ARGV[5]), tonumber(ARGV[6])
local last = tonumber(redis.call('HGET', META, 'swept_ms') or 0)
if last <= NOW and NOW - last < math.min(500, lease_ms / 20) then return {0, 0, 0, 0, 0} end
redis.call('HSET', META, 'swept_ms', NOW)

if last > NOW then
  -- The clock was set back: no lease runs longer than a new one, or a lost worker would be missed late.
  for _, worker in ipairs(redis.call('ZRANGE', WORKERS, NOW + lease_ms, '+inf', 'BYSCORE')) do
    redis.call('ZADD', WORKERS, NOW + lease_ms, worker)
  end
elseif NOW - last > lease_ms / 3 then
  for _, worker in ipairs(redis.call('ZRANGE', WORKERS, 0, -1)) do
    redis.call('ZADD', WORKERS, 'GT', NOW + lease_ms, worker)
  end
end

local promoted = promote(limit)

-- Looks at `limit` entries of a list from `first` on; returns how many it adopted, and whether the last was one.
local function adopt_from(list, queue, first)
  local adopted, blanks, is_last = 0, 0, false
  -- What is no list is somebody else's: its error has no first entry.
  for index, entry in ipairs(redis.pcall('LRANGE', list, first, first + limit - 1)) do
    is_last = string.sub(entry, 1, 1) == '{'
    if is_last then
      -- Marked in place first: the list must not shift under the loop.
      redis.call('LSET', list, first + index - 1, '')
      local rec, due = adopt(entry, queue)
      adopted, blanks = adopted + 1, blanks + 1
      if rec and place_adopted(rec, due) then
        set_state(rec, 'PENDING')
        write(rec, 'st', 'PENDING', 'pl', 'ready', 'rd', NOW_TEXT)
        -- The envelope stood in the list of its own priority, so the id stays in its place.
        redis.call('LSET', list, first + index - 1, rec.id)
        blanks = blanks - 1
        wake(rec.queue)
        emit(rec)
      end
    end
  end
  -- Without a number it would look through the whole list.
  if blanks > 0 then redis.call('LREM', list, blanks, '') end
  return adopted, is_last
end

local adopted = 0
for a = 7, #ARGV do
  for _, step in ipairs(STEPS) do
    local list = ready_key(ARGV[a], step)
    local newest, is_more = adopt_from(list, ARGV[a], 0)
    adopted = adopted + newest
    local length = redis.pcall('LLEN', list)
    if type(length) == 'number' and length > limit then
      -- More came in at once than one look takes: another goes on from where it was, round and round,
      -- and begins anew where the newest ones go on below.
      local depth = tonumber(redis.call('HGET', META, 'adopts:' .. list) or limit)
      if depth >= length then depth = limit end
      local older = adopt_from(list, ARGV[a], depth)
      adopted = adopted + older
      redis.call('HSET', META, 'adopts:' .. list, older == 0 and is_more and limit or depth + limit)
    end
  end
end

for _, name in ipairs(redis.call('SMEMBERS', PAUSED)) do
  local type_name = string.match(name, '^resuming:(.*)$')
  if type_name then give_back(type_name, limit) end
end

local rescued = 0
for _, worker in ipairs(redis.call('ZRANGE', WORKERS, '-inf', '(' .. NOW, 'BYSCORE', 'LIMIT', 0, 100)) do
  local leased = P .. 'leased:' .. worker
  while rescued < limit do
    local id = redis.call('SPOP', leased)
    if not id then break end
    local rec = load(id)
    if rec and rec.worker == worker then
      crashed(rec)
      rescued = rescued + 1
    end
  end
  if redis.call('EXISTS', leased) == 0 then
    redis.call('ZREM', WORKERS, worker)
    redis.call('SREM', PAUSED, 'worker:' .. worker)
    redis.call('DEL', P .. 'worker:' .. worker, P .. 'inbox:' .. worker)
  end
end
return {1, promoted, adopted, rescued, redis.call('LLEN', P .. 'ends:untold')}
