-- Removes finished records that are too old or too many, oldest first.
--
-- ARGV from 5: finished before (ms), most that are kept, limit (entries looked at)
-- Returns {entries looked at, records removed}
-- An entry whose record has since been run again, or has gone, is only dropped.
local before, keep, limit = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local looked, removed = 0, 0
-- An empty stream stays a key, and there is one for every user that ever was.
local function drop(index, at)
  redis.call('XDEL', index, at)
  if redis.call('XLEN', index) == 0 then redis.call('DEL', index) end
end
local surplus = redis.call('XLEN', DONE) - keep
for _, entry in ipairs(redis.call('XRANGE', DONE, '-', '+', 'COUNT', limit)) do
  local finished = tonumber(string.match(entry[1], '^(%d+)'))
  if finished >= before and surplus <= 0 then break end
  looked, surplus = looked + 1, surplus - 1
  redis.call('XDEL', DONE, entry[1])
  local id = entry[2][2]
  local rec = load(id)
  -- The stream's id may run ahead of the record's time, never behind it.
  if rec and FINISHED[rec.state] and tonumber(redis.call('HGET', rec.key, 'f')) <= finished then
    leave_place(rec)
    redis.call('ZREM', index_key(rec.tenant, 'state', rec.state), id)
    local at = string.format('%.0f-%s', rec.created, rec.n)
    drop(index_key(rec.tenant, 'all', ''), at)
    drop(index_key(rec.tenant, 'type', rec.type), at)
    drop(index_key(rec.tenant, 'queue', rec.queue), at)
    if rec.user ~= '' then drop(index_key(rec.tenant, 'user', rec.user), at) end
    redis.call('DEL', rec.key)
    removed = removed + 1
  end
end
return {looked, removed}
