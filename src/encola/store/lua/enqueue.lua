-- Accepts tasks: record, place, event and wake-up of each, all or nothing.
--
-- ARGV from 5: most tasks that may wait (refused beyond it), then nine a task:
--   id, message (envelope), queue, priority (0-9), type, user, due_ms ('' = now),
--   idempotency key ('' = none),
--   worker ('' or who holds it from the start: it goes under that lease with token 1, never on a list,
--   unless its type is paused)
-- Returns {'full', waiting}, {'taken', queue, type of the key there}, or one entry a task:
--   {1, id, created_ms} accepted, also as what a task that replaced itself waits for, or as another run of a
--     finished task whose frozen signature was sent once more | {0, id, created_ms} duplicate: nothing was done,
--     id is the one that is kept
-- Events: PENDING or SCHEDULED, one a task.
-- Not flagged allow-oom: a full server refuses new work and can still finish the old.
local UNKNOWN_LEASE_MS = 30000
local per, first = 9, 6
local tasks = (#ARGV - first + 1) / per
local places = {}
for a = first, #ARGV, per do
  places[#places + 1] = {ARGV[a + 2], tonumber(ARGV[a + 3])}
end
local refused = refusal(tonumber(ARGV[5]), tasks, places)
if refused then return refused end

-- Which sending of a frozen signature a message is of (encola/engine/sending.py); nil: of none.
local function sending(message)
  local is_json, headers = pcall(cjson.decode, string.match(message, '^[^\n]*'))
  local ours = is_json and type(headers) == 'table' and headers.encola
  return type(ours) == 'table' and ours.send or nil
end

-- Not the same sending repeated, but a later one.
local function is_sent_again(rec, message)
  local again = FINISHED[rec.state] and sending(message)
  return again and again ~= sending(redis.call('HGET', rec.key, 'm'))
end

local out = {}
for i = 0, tasks - 1 do
  local a = first + i * per
  local id, message, queue, priority, type = ARGV[a], ARGV[a + 1], ARGV[a + 2], tonumber(ARGV[a + 3]), ARGV[a + 4]
  local user, due, idem, worker = ARGV[a + 5], tonumber(ARGV[a + 6] or nil), ARGV[a + 7], ARGV[a + 8]
  local idem_key = idem ~= '' and (P .. 'idem::' .. idem) or nil
  local kept = idem_key and redis.call('GET', idem_key)
  -- What an idempotency key stands for may have been pruned since.
  local rec = kept and load(kept)
  -- Most ids are new, and that is asked more quickly than the parts of none.
  if not rec and redis.call('EXISTS', record_key(id)) == 1 then
    -- What is no hash breaks off here, before anything of the task is written.
    rec = load(id) or redis.call('HGET', record_key(id), 'x') or nil
  end
  if rec and rec.id == id and rec.awaits then
    -- The last part of what the task replaced itself with.
    if rec.worker then
      redis.call('HSET', rec.key, 'nx', message, 'nd', due or 0)
    else
      leave_place(rec)
      redis.call('HDEL', rec.key, 'du')
      go_on(rec, message, due or 0)
      emit(rec)
    end
    out[#out + 1] = {1, id, rec.created}
  elseif rec and not kept and is_sent_again(rec, message) then
    start_anew(rec)
    go_on(rec, message, due or 0)
    emit(rec)
    out[#out + 1] = {1, id, rec.created}
  elseif rec then
    out[#out + 1] = {0, rec.id, rec.created}
  else
    rec = create(id, message, queue, priority, type, user, '')
    if idem_key then redis.call('SET', idem_key, id, 'PX', STATS_MS) end
    if worker ~= '' and redis.call('SISMEMBER', PAUSED, 'type:' .. type) == 0 then
      set_state(rec, 'PENDING')
      redis.call('SADD', P .. 'leased:' .. worker, id)
      to_leased(rec, worker)
      -- A holder that nobody knows would never be missed: from here on the sweep looks for it.
      redis.call('ZADD', WORKERS, 'NX', NOW + UNKNOWN_LEASE_MS, worker)
    elseif due and due > NOW then
      to_delayed(rec, due)
    else
      to_ready(rec, false)
    end
    count(rec, 'enqueued')
    emit(rec)
    out[#out + 1] = {1, id, rec.created}
  end
end
return out
