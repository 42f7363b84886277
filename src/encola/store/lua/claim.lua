-- Takes up to n messages for a worker and puts them under its lease.
--
-- ARGV from 5: worker, n, then the queues in the order to look
-- Returns {0} when the worker is unknown or its lease ran out: register first. {2}: it drains, and gets nothing.
-- Else {1, ms until the next delayed task is due (-1: none), then one entry a task:
--   {id, token, queue, failed attempts, crashes, message}}
-- Reads ready lists by priority first, then by queue. Skips what was cancelled
-- (the record knows its place), leaves paused queues alone, and holds the tasks of
-- paused types apart. At most n + 100 entries are taken off the lists.
local worker, n = ARGV[5], tonumber(ARGV[6])
local lease_until = redis.call('ZSCORE', WORKERS, worker)
if not lease_until or tonumber(lease_until) < NOW then return {0} end

local paused = {}
for _, name in ipairs(redis.call('SMEMBERS', PAUSED)) do paused[name] = true end
if paused['worker:' .. worker] then
  -- The token that it came by is somebody else's to follow.
  for a = 7, #ARGV do wake(ARGV[a]) end
  return {2}
end

promote(100)
local queues = {}
for a = 7, #ARGV do
  if not paused['queue:' .. ARGV[a]] then queues[#queues + 1] = ARGV[a] end
end

local out, taken, budget = {1, -1}, {}, n + 100
local function take(rec)
  if paused['type:' .. rec.type] then return to_held(rec) end
  to_leased(rec, worker)
  taken[#taken + 1] = rec.id
  out[#out + 1] = {rec.id, rec.token, rec.queue, rec.retries, rec.crashes, rec.message}
end

local function take_entry(entry, queue)
  if string.sub(entry, 1, 1) ~= '{' then
    local rec = load(entry, true)
    if rec and rec.place == 'ready' then take(rec) end
    return
  end
  local rec, due = adopt(entry, queue)
  if rec and place_adopted(rec, due) then
    set_state(rec, 'PENDING')
    write(rec, 'st', 'PENDING', 'rd', NOW_TEXT)
    emit(rec)
    rec.message = entry
    take(rec)
  end
end

for _, step in ipairs(STEPS) do
  for _, queue in ipairs(queues) do
    local list = ready_key(queue, step)
    while #taken < n and budget > 0 do
      -- What is no list is somebody else's, and keeps nobody from the other queues.
      local entries = redis.pcall('RPOP', list, math.min(n - #taken, budget))
      if not entries or entries.err then break end
      budget = budget - #entries
      for _, entry in ipairs(entries) do take_entry(entry, queue) end
    end
  end
end

if #taken > 0 then redis.call('SADD', P .. 'leased:' .. worker, unpack(taken)) end

for _, queue in ipairs(queues) do
  for _, step in ipairs(STEPS) do
    local length = redis.pcall('LLEN', ready_key(queue, step))
    if type(length) == 'number' and length > 0 then
      wake(queue)
      break
    end
  end
end
local soonest = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
if soonest[2] then out[2] = math.max(0, tonumber(soonest[2]) - NOW) end
return out
