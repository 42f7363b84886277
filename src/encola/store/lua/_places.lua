-- Where a task is, and its moves from one place to another: on a queue, held with a paused type, delayed, under a
-- worker's lease, dead, or settled and in none. Needs _record.lua.

-- The third lost child or worker parks a task: two may be bad luck, three are the task.
local MAX_CRASHES = 3
local MAX_ATTEMPTS_BYTES = 16000
-- So often a task looks whether its queue's name is free again.
local TAKEN_MS = 30000
-- For so long a task waits for the end of what it has replaced itself with.
local AWAIT_MS = 30 * 86400000

-- Of a paused type: it waits apart, so that it stands in nobody's way.
local function held_key(rec) return P .. 'held:' .. rec.type .. '\31' .. rec.queue end

local function leave_held(rec)
  redis.call('ZREM', held_key(rec), rec.id)
  if redis.call('EXISTS', held_key(rec)) == 0 then redis.call('SREM', HELD, rec.type .. '\31' .. rec.queue) end
end

-- Leaves the place it is in. What stays behind in a very long ready list is
-- skipped by claim, which asks the record (field pl) and not the list.
local function leave_place(rec)
  if rec.worker then
    redis.call('SREM', P .. 'leased:' .. rec.worker, rec.id)
  elseif rec.place == 'delayed' then
    redis.call('ZREM', DELAYED, rec.id)
    tally(rec, 'delayed', -1)
  elseif rec.place == 'held' then
    leave_held(rec)
  elseif rec.place == 'dead' then
    redis.call('ZREM', DEAD, rec.id)
  elseif rec.place == 'ready' then
    local list = ready_key(rec.queue, rec.priority)
    if redis.call('LLEN', list) <= 10000 then redis.call('LREM', list, -1, rec.id) end
  end
end

-- The next five put a record into a place; whoever calls them has taken it out of the last.
-- With the lease goes the next delivery (nx, nd, rp) that its attempt may have asked for: it is that attempt's alone.
local function to_delayed(rec, due)
  redis.call('ZADD', DELAYED, due, rec.id)
  tally(rec, 'delayed', 1)
  set_state(rec, delayed_state(rec))
  if not write(rec, 'st', rec.state, 'pl', 'delayed', 'du', due) then
    redis.call('HDEL', rec.key, 'w', 'sa', 'p', 'ph', 'nx', 'nd', 'rp')
  end
  rec.worker, rec.place = nil, 'delayed'
end

local function to_ready(rec, at_head)
  local list = ready_key(rec.queue, rec.priority)
  local pushed = redis.pcall(at_head and 'RPUSH' or 'LPUSH', list, rec.id)
  -- Somebody has put something else under the name of the list: it waits until that has gone.
  if type(pushed) == 'table' then return to_delayed(rec, NOW + TAKEN_MS) end
  set_state(rec, waiting_state(rec))
  if not write(rec, 'st', rec.state, 'pl', 'ready', 'rd', NOW_TEXT) then
    redis.call('HDEL', rec.key, 'w', 'sa', 'p', 'ph', 'nx', 'nd', 'rp')
  end
  rec.worker, rec.place = nil, 'ready'
  wake(rec.queue)
end

-- In the order in which it was accepted.
local function to_held(rec)
  redis.call('ZADD', held_key(rec), rec.n, rec.id)
  redis.call('SADD', HELD, rec.type .. '\31' .. rec.queue)
  write(rec, 'pl', 'held')
  rec.place = 'held'
end

-- Under a worker's lease, with a new fencing token. Whoever calls it puts the ids under the lease (SADD).
local function to_leased(rec, worker)
  rec.token = rec.token + 1
  write(rec, 'w', worker, 'dl', rec.token, 'pl', 'leased', 'st', rec.state)
  rec.worker, rec.place = worker, 'leased'
end

-- The field `at` with the attempt that ends now; nil where none had begun.
local function closed_attempts(rec, outcome)
  if not rec.started then return nil end
  local entry = string.format('[%d,%s,%.0f,%s,"%s",%d]', rec.attempt, cjson.encode(rec.worker or ''), rec.started,
    NOW_TEXT, outcome, rec.token)
  local before = rec.attempt > 1 and redis.call('HGET', rec.key, 'at')
  if not before then return entry end
  -- A task that is requeued for ever keeps its latest attempts, about a hundred.
  if #before > MAX_ATTEMPTS_BYTES then
    before = string.match(before, '%],(%[.*)$', #before - math.floor(MAX_ATTEMPTS_BYTES / 2))
  end
  return before and before .. ',' .. entry or entry
end

local function close_attempt(rec, outcome)
  local attempts = closed_attempts(rec, outcome)
  if attempts then redis.call('HSET', rec.key, 'at', attempts) end
end

-- The attempts that have ended, oldest first: {number, worker, start, end, outcome, token}.
local function ended_attempts(rec) return cjson.decode('[' .. (redis.call('HGET', rec.key, 'at') or '') .. ']') end

-- A failure's code as the statistics have it: short, and of a bounded number of kinds a minute.
local function error_word(code)
  local key = P .. 'stats:' .. math.floor(NOW / 60000)
  if code == '' then return 'failed' end
  if #code > 64 or redis.call('HLEN', key) > 10000 then return 'other' end
  return (string.gsub(code, '%c', ' '))
end

-- Settled, or dead: nothing will run it again but a person.
-- field: 'r' (result) or 'e' (error), with its JSON; code: the stable word of an error, or '';
-- outcome: of the attempt that ends with it; nil where none does.
local function to_finished(rec, state, field, value, code, dead, outcome)
  set_state(rec, state)
  local set = {'st', state, 'f', NOW_TEXT}
  local attempts = outcome and closed_attempts(rec, outcome)
  if attempts then
    set[#set + 1] = 'at'
    set[#set + 1] = attempts
  end
  if field ~= '' and value ~= '' then
    set[#set + 1] = field
    set[#set + 1] = value
  end
  if code ~= '' then
    set[#set + 1] = 'ec'
    set[#set + 1] = code
  end
  if dead then
    set[#set + 1] = 'pl'
    set[#set + 1] = 'dead'
    redis.call('ZADD', DEAD, NOW_TEXT, rec.id)
  end
  write(rec, unpack(set))
  -- Most records are finished ones, and a field more costs each of them some fifty bytes:
  -- the number of the last attempt (an) stands in `at` too, and only retry needs it again.
  redis.call('HDEL', rec.key, 'w', 'sa', 'p', 'ph', 'rd', 'du', 'nx', 'nd', 'rp', 'an', dead and 'du' or 'pl')
  redis.call('XADD', DONE, '*', 'i', rec.id)
  local names = state
  if state == 'FAILURE' then names = names .. '\31error:' .. error_word(code) end
  if rec.started then
    names = names .. '\31r' .. bucket(NOW - rec.started)
    if rec.ready_since then names = names .. '\31w' .. bucket(rec.started - rec.ready_since) end
  end
  count(rec, names)
  rec.worker, rec.place = nil, dead and 'dead' or nil
  emit(rec, code ~= '' and 'e' or nil, code)
end

-- A chord, a later link or an errback may wait for this end, and no worker has written it: one tells them
-- (encola/engine/telling.py).
local function leave_untold(rec) redis.call('RPUSH', P .. 'ends:untold', rec.id) end

local function park(rec, code, message)
  to_finished(rec, 'FAILURE', 'e', cjson.encode({type = 'encola.' .. code, message = message}), code, true)
  leave_untold(rec)
end

-- Ends what waits, or what runs, as somebody wants it. A chord hears of it from its part; Celery tells nobody else.
local function revoke(rec, code)
  to_finished(rec, 'REVOKED', 'e', '', code, false)
  local message = redis.call('HGET', rec.key, 'm')
  if string.find(message, '"group":"', 1, true) or string.find(message, '"group": "', 1, true) then leave_untold(rec) end
end

-- A lost child or worker: back to the head of its queue, or parked the third time.
-- Only what ran is counted: a task that merely waited in a worker that another one
-- killed is not to blame.
-- was_at_it: its child had taken it up, whether or not it came to say so here.
-- Returns whether it was parked.
local function crashed(rec, was_at_it)
  leave_place(rec)
  local ran = rec.started or was_at_it
  if ran then rec.crashes = redis.call('HINCRBY', rec.key, 'c', 1) end
  close_attempt(rec, 'crashed')
  if ran then count(rec, 'crashed') end
  if rec.crashes >= MAX_CRASHES then
    park(rec, 'worker_lost', 'The worker was lost ' .. rec.crashes .. ' times while this task ran.')
    return true
  end
  to_ready(rec, true)
  emit(rec)
  return false
end

-- The same task runs on with another message.
local function go_on(rec, message, due)
  redis.call('HSET', rec.key, 'm', message)
  if due > NOW then
    to_delayed(rec, due)
  else
    to_ready(rec, false)
  end
end

-- The next delivery that an attempt asked for from inside itself (retry, replace).
local function deliver_next(rec)
  local next = redis.call('HMGET', rec.key, 'nx', 'nd')
  if not next[1] then return false end
  go_on(rec, next[1], tonumber(next[2] or 0))
  return true
end

-- Replaced by a chain or a group, whose last part has this id: it waits for that one to be sent.
local function to_awaiting(rec)
  to_delayed(rec, NOW + AWAIT_MS)
  redis.call('HSET', rec.key, 'rp', '1')
end

-- Moves up to `limit` ids whose time has come to their queues.
local function promote(limit)
  local due = redis.call('ZRANGE', DELAYED, '-inf', NOW, 'BYSCORE', 'LIMIT', 0, limit)
  for _, id in ipairs(due) do
    redis.call('ZREM', DELAYED, id)
    local rec = load(id)
    if rec then
      tally(rec, 'delayed', -1)
      if rec.awaits then
        local lost = {type = 'encola.replacement_lost', message = 'What the task replaced itself with did not come to its end.'}
        to_finished(rec, 'FAILURE', 'e', cjson.encode(lost), 'replacement_lost', false)
      else
        redis.call('HDEL', rec.key, 'du')
        to_ready(rec, false)
        emit(rec)
      end
    end
  end
  return #due
end
