-- A whole Kombu envelope that a stock Celery producer pushed into one of our
-- lists becomes a record. Needs _record.lua and _places.lua.

-- Milliseconds since 1970 of an ISO 8601 time, or nil. A time without a zone is UTC.
local function parse_time(text)
  local y, mo, d, h, mi, s, rest = string.match(text, '^(%d%d%d%d)-(%d%d)-(%d%d)[T ](%d%d):(%d%d):(%d%d)(.*)$')
  if not y then return nil end
  y, mo, d = tonumber(y), tonumber(mo), tonumber(d)
  -- Days from civil, Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
  if mo <= 2 then y = y - 1 end
  local era = math.floor(y / 400)
  local yoe = y - era * 400
  local doy = math.floor((153 * (mo + (mo > 2 and -3 or 9)) + 2) / 5) + d - 1
  local days = era * 146097 + yoe * 365 + math.floor(yoe / 4) - math.floor(yoe / 100) + doy - 719468
  local ms = ((days * 24 + h) * 60 + mi) * 60000 + s * 1000
  local fraction = string.match(rest, '^%.(%d+)')
  if fraction then ms = ms + math.floor(tonumber('0.' .. fraction) * 1000) end
  local sign, zh, zm = string.match(rest, '([+-])(%d%d):?(%d?%d?)$')
  if sign then
    local offset = (zh * 60 + (tonumber(zm) or 0)) * 60000
    ms = sign == '+' and ms - offset or ms + offset
  end
  return ms
end

-- Whether a text is UTF-8 (RFC 3629), which a half of a surrogate pair in JSON does not become.
local function is_utf8(text)
  local high = '[\128-\191]'
  for _, form in ipairs({
    '\240[\144-\191]' .. high .. high, '[\241-\243]' .. high .. high .. high, '\244[\128-\143]' .. high .. high,
    '\224[\160-\191]' .. high, '[\225-\236\238\239]' .. high .. high, '\237[\128-\159]' .. high,
    '[\194-\223]' .. high,
  }) do
    text = string.gsub(text, form, '?')
  end
  return not string.find(text, '[\128-\255]')
end

-- The id, headers and properties of an envelope that holds a task; nil for any other.
local function read_envelope(envelope)
  local ok, e = pcall(cjson.decode, envelope)
  local headers = ok and type(e) == 'table' and type(e.headers) == 'table' and e.headers or {}
  local properties = ok and type(e) == 'table' and type(e.properties) == 'table' and e.properties or {}
  local id = headers.id or properties.correlation_id
  local readable = type(id) == 'string' and #id > 0 and #id <= 255 and string.sub(id, 1, 1) ~= '{'
    and type(headers.task) == 'string' and is_utf8(id) and is_utf8(headers.task)
  if readable then return id, headers, properties end
end

-- Returns the new record, in no place yet, and its due time or nil; or nil when
-- the envelope was a duplicate, or was parked because nobody can read it.
local function adopt(envelope, queue)
  local id, headers, properties = read_envelope(envelope)
  if not id then
    local parked = 'unreadable-' .. redis.sha1hex(envelope)
    if redis.call('EXISTS', record_key(parked)) == 1 then return nil end
    local rec = create(parked, envelope, queue, 0, 'unreadable', '', '')
    rec.state = nil
    park(rec, 'undeliverable', 'A message without a task name and an id that can be read came in on queue ' .. queue .. '.')
    return nil
  end
  if redis.call('EXISTS', record_key(id)) == 1 then return nil end
  -- What cannot be a priority is none; not a number is not even equal to itself.
  local priority = tonumber(properties.priority)
  if not priority or priority ~= priority then priority = 0 end
  priority = math.floor(math.max(0, math.min(9, priority)))
  local known = redis.call('HGET', TYPES, headers.task)
  -- \31 parts the coordinates of a record (field x).
  local type_name = string.gsub(known or headers.task, '\31', ' ')
  local rec = create(id, envelope, queue, priority, type_name, '', '')
  count(rec, 'enqueued')
  local due = type(headers.eta) == 'string' and parse_time(headers.eta) or nil
  return rec, due
end

-- Puts an adopted record where it belongs. Returns whether it is ready to run.
local function place_adopted(rec, due)
  if due and due > NOW then
    to_delayed(rec, due)
    emit(rec)
    return false
  end
  return true
end
