-- Removes finished records that are too old or too many, oldest first.
--
-- ARGV from 5: finished before (ms), most that are kept, limit (entries looked at),
--   '1' to remove nothing and only say what would be, the entry after which to begin (then)
-- Returns {entries looked at, records removed, last entry looked at, ids of these records …}
-- An entry whose record has since been run again, or has gone, is only dropped.
local before, keep, limit = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local is_trial, after = ARGV[8] == '1', ARGV[9] or ''
local looked, ids, last = 0, {}, ''
-- An empty stream stays a key, and there is one for every user that ever was.
local function drop(index, at)
  redis.call('XDEL', index, at)
  if redis.call('XLEN', index) == 0 then redis.call('DEL', index) end
end
-- The last record of its kind takes the counter along.
local function untally(rec)
  local field = rec.type .. '\31' .. rec.queue .. '\31' .. rec.state
  if redis.call('HINCRBY', COUNTS, field, -1) <= 0 then redis.call('HDEL', COUNTS, field) end
end

-- Takes the record out of its place, of every index, and away.
local function forget(rec)
  leave_place(rec)
  redis.call('ZREM', index_key(rec.tenant, 'state', rec.state), rec.id)
  untally(rec)
  local at = string.format('%.0f-%s', rec.created, rec.n)
  drop(index_key(rec.tenant, 'all', ''), at)
  drop(index_key(rec.tenant, 'type', rec.type), at)
  drop(index_key(rec.tenant, 'queue', rec.queue), at)
  if rec.user ~= '' then drop(index_key(rec.tenant, 'user', rec.user), at) end
  redis.call('DEL', rec.key, log_key(rec.id))
end
local surplus = redis.call('XLEN', DONE) - keep
for _, entry in ipairs(redis.call('XRANGE', DONE, after == '' and '-' or '(' .. after, '+', 'COUNT', limit)) do
  local finished = tonumber(string.match(entry[1], '^(%d+)'))
  if finished >= before and surplus <= 0 then break end
  looked, surplus, last = looked + 1, surplus - 1, entry[1]
  if not is_trial then redis.call('XDEL', DONE, entry[1]) end
  local id = entry[2][2]
  local rec = load(id)
  -- The stream's id may run ahead of the record's time, never behind it.
  if rec and FINISHED[rec.state] and tonumber(redis.call('HGET', rec.key, 'f')) <= finished then
    ids[#ids + 1] = id
    if not is_trial then forget(rec) end
  end
end
return {looked, #ids, last, unpack(ids)}
