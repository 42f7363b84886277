-- Why a task that waits does not run. Changes nothing.
--
-- ARGV from 5: id, limit (entries of its list that are looked at)
-- Returns {reason, ahead, until_ms}; a number that there is not is -1
--   ''             it does not wait: it runs, has its outcome, or is unknown
--   'time'         it waits for a time (until_ms)
--   'claimed'      a worker has it, and has not started it yet
--   'type_paused'  its task type is paused
--   'queue_paused', 'no_worker', 'ahead'   so many of its queue come before it, in the order in which claim
--                  takes them; no_worker: none listens to its queue and takes tasks
local rec, limit = load(ARGV[5]), tonumber(ARGV[6])
if not rec or FINISHED[rec.state] or rec.started then return {'', -1, -1} end
if rec.place == 'delayed' then return {'time', -1, tonumber(redis.call('HGET', rec.key, 'du'))} end
if rec.place == 'leased' then return {'claimed', -1, -1} end

local paused, types_paused = {}, false
for _, name in ipairs(redis.call('SMEMBERS', PAUSED)) do
  paused[name] = true
  if string.sub(name, 1, 5) == 'type:' then types_paused = true end
end
if rec.place == 'held' or paused['type:' .. rec.type] then return {'type_paused', -1, -1} end

-- Whether claim would take this entry of a list, and not drop it or set it aside.
local function counts(entry)
  if string.sub(entry, 1, 1) == '{' then return true end
  local other = load(entry)
  return other and other.place == 'ready' and not paused['type:' .. other.type]
end

-- Entries of a list that claim takes before the first `ours` of it from the right; nil beyond the limit.
local function before(list, ours)
  if not types_paused then return ours end
  local number = 0
  for _, entry in ipairs(ours > 0 and redis.call('LRANGE', list, -ours, -1) or {}) do
    if counts(entry) then number = number + 1 end
  end
  return number
end

local function count_ahead()
  local ahead, own = 0, ready_key(rec.queue, rec.priority)
  for _, step in ipairs(STEPS) do
    local list = ready_key(rec.queue, step)
    local length = redis.call('LLEN', list)
    if list == own then
      local at = redis.call('LPOS', list, rec.id, 'RANK', -1, 'MAXLEN', limit)
      if not at or (types_paused and length - at > limit) then return -1 end
      return ahead + before(list, length - 1 - at)
    end
    if types_paused and length > limit then return -1 end
    ahead = ahead + before(list, length)
  end
end

-- Whether a worker with a lease takes tasks of this queue.
local function is_listened_to()
  for _, worker in ipairs(redis.call('ZRANGE', WORKERS, NOW, '+inf', 'BYSCORE')) do
    local info = not paused['worker:' .. worker] and redis.call('GET', P .. 'worker:' .. worker)
    local ok, known = pcall(cjson.decode, info or '{}')
    for _, queue in ipairs(ok and known.queues or {}) do
      if queue == rec.queue then return true end
    end
  end
  return false
end

local ahead = count_ahead()
if paused['queue:' .. rec.queue] then return {'queue_paused', ahead, -1} end
if not is_listened_to() then return {'no_worker', ahead, -1} end
return {'ahead', ahead, -1}
