-- What every script shares: the keys, the record, its events and what is counted. The moves between places: _places.lua.
--
-- KEYS, the same for every script, in this order:
--   1 meta     hash    n (order counter), last_ms, swept_ms, beat_ms, schema, folder, adopts:<list> (see sweep.lua)
--   2 delayed  zset    id -> due_ms
--   3 dead     zset    id -> parked_ms
--   4 workers  zset    worker -> lease_until_ms
--   5 events   stream  every change of every task
--   6 done     stream  ids by the time they finished; retention reads its head
--   7 paused   set     "queue:<name>", "type:<name>", "worker:<id>" (drains);
--                      "resuming:<type>": what is held of it is on its way back
--   8 types    hash    name on the wire -> task type
--   9 schedules zset   schedule id -> when it is due next, ms
--  10 counts   hash    "<type>\31<queue>\31<state>" -> records; "…\31delayed" -> those that wait for a time
--  11 held     set     "<type>\31<queue>" where tasks are held
--  12 logged   stream  ids of tasks that have just written something; short
-- ARGV, the first four of every script:
--   1 prefix of our own keys   2 prefix of the ready lists
--   3 events kept (about)      4 milliseconds that statistics are kept
-- A script's own arguments start at ARGV[5].
--
-- Keys built here, and only here, because their names are known only once the
-- script runs:
--   <prefix>t:<id>             hash    the record, which is also the message
--   <prefix>log:<id>           list    what the task wrote; see log.lua
--   <prefix>leased:<worker>    set     ids under the worker's lease
--   <prefix>worker:<worker>    string  JSON: what the worker says of itself
--   <prefix>inbox:<worker>     list    "<token> <id>" to stop at once
--   <prefix>held:<type>\31<queue>  zset  id -> order: a paused type's tasks that came up to be claimed
--   <prefix>wake:<queue>       list    at most one token: there is work
--   <prefix>i:<tenant>:...     the indexes
--   <prefix>idem:<tenant>:<k>  string  idempotency key -> id
--   <prefix>ends:untold        list    ids of tasks whose end no worker has told to who waits for it
--   <prefix>stats:<minute>     hash    counters of one minute
--   <prefix>s:<schedule>       hash    a schedule; its fields are told in declare.lua
--   <prefix>ran:<schedule>     list    "<ms> <task>" of its last runs, newest first
--   <list prefix><queue>[\6\22<step>]  list  ready ids (or stock envelopes);
--                              named as Kombu names them, taken from the right
--
-- Fields of a record: see encola/record.py, where each is documented.

-- What holds for one call: begin() sets it.
local P, LP, EVENTS_KEPT, STATS_MS
-- The time in milliseconds; as text too, for each number that a command is given is written out anew.
local NOW, NOW_TEXT
local META, DELAYED, DEAD, WORKERS, EVENTS, DONE, PAUSED, TYPES, SCHEDULES, COUNTS, HELD, LOGGED
-- What a script adds to counters and the queues that it tells of: finish() writes each once, however
-- many tasks there were.
local TALLIES, COUNTERS, WOKEN
local LAST_CREATED

local PARTS = {'x', 'st', 'w', 'dl', 'c', 'rn', 'sa', 'an', 'pl', 'rd', 'rp'}
local PARTS_AND_MESSAGE = {'x', 'st', 'w', 'dl', 'c', 'rn', 'sa', 'an', 'pl', 'rd', 'rp', 'm'}
local STEPS = {0, 3, 6, 9}
local FINISHED = {SUCCESS = true, FAILURE = true, REVOKED = true}

-- The first thing of every call; see encola/store/library.py.
local function begin(keys, argv)
  P, LP, EVENTS_KEPT, STATS_MS = argv[1], argv[2], argv[3], argv[4]
  META, DELAYED, DEAD, WORKERS, EVENTS, DONE = keys[1], keys[2], keys[3], keys[4], keys[5], keys[6]
  PAUSED, TYPES, SCHEDULES, COUNTS, HELD, LOGGED = keys[7], keys[8], keys[9], keys[10], keys[11], keys[12]
  TALLIES, COUNTERS, WOKEN, LAST_CREATED = {}, {}, {}, nil
  NOW = now_ms(P)
  NOW_TEXT = string.format('%.0f', NOW)
end

local function record_key(id) return P .. 't:' .. id end
local function log_key(id) return P .. 'log:' .. id end
local function schedule_key(id) return P .. 's:' .. id end

-- The ready list of a queue and a priority: 0 first, then 3, 6, 9, as in Kombu.
local function ready_key(queue, priority)
  local step = 0
  for _, s in ipairs(STEPS) do
    if priority >= s then step = s end
  end
  if step == 0 then return LP .. queue end
  return LP .. queue .. '\6\22' .. step
end

local function index_key(tenant, kind, value) return P .. 'i:' .. tenant .. ':' .. kind .. ':' .. value end

-- The parts of a record that the scripts work with; nil when there is none, or something else under its key.
local function load(id, with_message)
  local f = redis.pcall('HMGET', record_key(id), unpack(with_message and PARTS_AND_MESSAGE or PARTS))
  if not f[1] then return nil end
  local queue, priority, type, user, tenant, created, n =
    string.match(f[1], '^([^\31]*)\31([^\31]*)\31([^\31]*)\31([^\31]*)\31([^\31]*)\31([^\31]*)\31([^\31]*)$')
  return {
    id = id, key = record_key(id),
    queue = queue, priority = tonumber(priority), type = type, user = user, tenant = tenant,
    created = tonumber(created), n = n,
    state = f[2], worker = f[3] or nil, token = tonumber(f[4] or 0), crashes = tonumber(f[5] or 0),
    retries = tonumber(f[6] or 0), started = tonumber(f[7] or nil), attempt = tonumber(f[8] or 0),
    place = f[9] or nil, ready_since = tonumber(f[10] or nil), awaits = f[11] or nil,
    message = f[12],
  }
end

local function holds(rec, token) return rec.worker and rec.token == tonumber(token) end

-- One event in the stream, in the order in which the changes were made.
local function emit(rec, extra, value)
  local more = {}
  if rec.tenant ~= '' then more = {'n', rec.tenant} end
  if extra then
    more[#more + 1] = extra
    more[#more + 1] = value
  end
  redis.call('XADD', EVENTS, 'MAXLEN', '~', EVENTS_KEPT, '*', 't', rec.id, 'y', rec.type, 's', rec.state,
    'q', rec.queue, 'u', rec.user, 'a', rec.attempt, 'm', NOW_TEXT, unpack(more))
end

-- How many records of a type and queue are in a state, or wait for a time.
local function tally(rec, what, by)
  local field = rec.type .. '\31' .. rec.queue .. '\31' .. what
  TALLIES[field] = (TALLIES[field] or 0) + by
end

local function set_state(rec, state)
  if rec.state ~= state then
    if rec.state then
      redis.call('ZREM', index_key(rec.tenant, 'state', rec.state), rec.id)
      tally(rec, rec.state, -1)
    end
    redis.call('ZADD', index_key(rec.tenant, 'state', state), rec.n, rec.id)
    tally(rec, state, 1)
    rec.state = state
  end
end

-- Waiting for its first run, or for the next after one that failed: on a queue, and for a time.
local function waiting_state(rec) return rec.retries > 0 and 'RETRY' or 'PENDING' end
local function delayed_state(rec) return rec.retries > 0 and 'RETRY' or 'SCHEDULED' end

-- Tells one blocked worker that a queue holds work.
local function wake(queue) WOKEN[queue] = true end

-- Counts in the statistics of this minute. What comes together is counted together, under its names
-- parted by \31: a counter each would be most of what a short task costs the server.
local function count(rec, names)
  local counter = rec.type .. '\31' .. rec.queue .. '\31' .. names
  COUNTERS[counter] = (COUNTERS[counter] or 0) + 1
end

-- The last thing of every call.
local function finish()
  for field, by in pairs(TALLIES) do
    if by ~= 0 then redis.call('HINCRBY', COUNTS, field, by) end
  end
  local minute, is_first = P .. 'stats:' .. math.floor(NOW / 60000), false
  for field, by in pairs(COUNTERS) do
    if redis.call('HINCRBY', minute, field, by) == by then is_first = true end
  end
  if is_first then redis.call('PEXPIRE', minute, STATS_MS) end
  -- A token is only a hint: one that is lost costs a poll, never a task.
  for queue in pairs(WOKEN) do
    local key = P .. 'wake:' .. queue
    if redis.call('LLEN', key) == 0 then
      redis.call('LPUSH', key, '1')
      redis.call('PEXPIRE', key, 60000)
    end
  end
end

-- Histogram bucket of a time: k holds [2^(k-1), 2^k) ms, 0 holds less than 1 ms.
local function bucket(ms)
  local k = 0
  while ms >= 1 and k < 32 do
    ms = ms / 2
    k = k + 1
  end
  return k
end

-- Why new tasks cannot be taken, as the scripts answer it, or nil.
-- new: how many there are; places: {queue, priority} of each.
local function refusal(most, new, places)
  local waiting = 0
  for _, s in ipairs({'PENDING', 'SCHEDULED', 'RETRY'}) do
    waiting = waiting + redis.call('ZCARD', index_key('', 'state', s))
  end
  if new > 0 and waiting + new > most then return {'full', waiting} end
  -- A push onto what is no list would break off in the middle.
  local checked = {}
  for _, place in ipairs(places) do
    local list = ready_key(place[1], place[2])
    if not checked[list] then
      checked[list] = true
      local kind = redis.call('TYPE', list).ok
      if kind ~= 'none' and kind ~= 'list' then return {'taken', place[1], kind} end
    end
  end
  return nil
end

-- A new order number and a creation time that never runs backwards, whatever the
-- clock does: the pair is the id of the record's entries in the index streams.
local function next_order()
  LAST_CREATED = LAST_CREATED or tonumber(redis.call('HGET', META, 'last_ms') or 0)
  if NOW > LAST_CREATED then
    LAST_CREATED = NOW
    redis.call('HSET', META, 'last_ms', NOW)
  end
  return LAST_CREATED, redis.call('HINCRBY', META, 'n', 1)
end

-- Writes fields of a record, and with the first of a new one what it is made of: one command, not two.
-- Returns whether it is a new one.
local function write(rec, ...)
  local made = rec.made
  if not made then
    redis.call('HSET', rec.key, ...)
    return false
  end
  rec.made = nil
  redis.call('HSET', rec.key, 'x', made.x, 'm', made.message, ...)
  return true
end

-- A new record with its index entries. It is in no place yet, and written with the first that it comes to.
local function create(id, message, queue, priority, type, user, tenant)
  local created, n = next_order()
  local rec = {
    id = id, key = record_key(id), queue = queue, priority = priority, type = type, user = user, tenant = tenant,
    created = created, n = tostring(n), token = 0, crashes = 0, retries = 0, attempt = 0,
  }
  local x = table.concat({queue, priority, type, user, tenant, created, rec.n}, '\31')
  rec.made = {x = x, message = message}
  local at = string.format('%.0f-%s', created, rec.n)
  redis.call('XADD', index_key(tenant, 'all', ''), at, 'i', id)
  redis.call('XADD', index_key(tenant, 'type', type), at, 'i', id)
  redis.call('XADD', index_key(tenant, 'queue', queue), at, 'i', id)
  if user ~= '' then redis.call('XADD', index_key(tenant, 'user', user), at, 'i', id) end
  return rec
end
