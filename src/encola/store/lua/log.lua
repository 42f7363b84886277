-- Keeps lines that tasks wrote while they ran.
--
-- ARGV from 5: most lines and most bytes that are kept of a task, then four a line:
--   id, token (of the attempt that wrote it), lines of the task that were left out before it, line (JSON)
-- Returns the number of lines that were kept.
-- Events: none; a word in the stream "logged" to who reads along.
--
-- An entry of a log is "<number>\31<bytes up to and with it>\31<attempt>\31<line>". What is too much goes from the
-- front; the numbers tell how much has gone. An attempt that is no longer the current one may still add
-- its lines: they change nothing else. Of a task that has no record nothing is kept.
local most_lines, most_bytes = tonumber(ARGV[5]), tonumber(ARGV[6])
local records, order, kept = {}, {}, 0

-- The number of the attempt that ran under a token.
local function attempt_of(rec, token)
  if holds(rec, token) then return rec.attempt end
  for _, ended in ipairs(ended_attempts(rec)) do
    if ended[6] == tonumber(token) then return ended[1] end
  end
  return rec.attempt
end

local function parts(entry)
  local number, bytes, size = string.match(entry, '^(%d+)\31(%d+)\31%d+\31()')
  return tonumber(number), tonumber(bytes), #entry - size + 1
end

for a = 7, #ARGV, 4 do
  local id, token, skipped, line = ARGV[a], ARGV[a + 1], tonumber(ARGV[a + 2]), ARGV[a + 3]
  local one = records[id]
  if one == nil then
    local rec = load(id)
    one = rec and {rec = rec, key = log_key(id), number = 0, bytes = 0, attempts = {}} or false
    if rec then
      local last = redis.call('LINDEX', one.key, -1)
      if last then one.number, one.bytes = parts(last) end
      order[#order + 1] = one
    end
    records[id] = one
  end
  if one then
    one.attempts[token] = one.attempts[token] or attempt_of(one.rec, token)
    one.number, one.bytes, kept = one.number + skipped + 1, one.bytes + #line, kept + 1
    redis.call('RPUSH', one.key, string.format('%.0f\31%.0f\31%d\31', one.number, one.bytes, one.attempts[token]) .. line)
  end
end

for _, one in ipairs(order) do
  local length = redis.call('LLEN', one.key)
  while length > 1 do
    local _, bytes, size = parts(redis.call('LINDEX', one.key, 0))
    if length <= most_lines and one.bytes - bytes + size <= most_bytes then break end
    redis.call('LPOP', one.key)
    length = length - 1
  end
  redis.call('XADD', LOGGED, 'MAXLEN', '~', 1000, '*', 't', one.rec.id)
end
return kept
