-- Cancels what is ready on a queue or held there, up to a limit.
--
-- ARGV from 5: queue, limit
-- Returns the number of entries taken off its lists.
-- Events: REVOKED, one a task; before it PENDING for an envelope that nobody had adopted yet.
-- Envelopes that hold no task are dropped: plain messages have no records.
local queue, left = ARGV[5], tonumber(ARGV[6])
local taken = 0
for _, step in ipairs(STEPS) do
  local list = ready_key(queue, step)
  while left > 0 do
    local entry = redis.call('RPOP', list)
    if not entry then break end
    left, taken = left - 1, taken + 1
    local rec
    if string.sub(entry, 1, 1) ~= '{' then
      rec = load(entry)
      if rec and rec.place ~= 'ready' then rec = nil end
    elseif read_envelope(entry) then
      rec = adopt(entry, queue)
      if rec then
        set_state(rec, 'PENDING')
        emit(rec)
      end
    end
    if rec then revoke(rec, 'purged') end
  end
end
for _, member in ipairs(redis.call('SMEMBERS', HELD)) do
  if left > 0 and string.match(member, '\31(.*)$') == queue then
    for _, id in ipairs(redis.call('ZRANGE', P .. 'held:' .. member, 0, left - 1)) do
      left, taken = left - 1, taken + 1
      local rec = load(id)
      leave_held(rec)
      revoke(rec, 'purged')
    end
  end
end
return taken
