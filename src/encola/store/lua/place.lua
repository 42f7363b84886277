-- Where a task is, and what its record says of it. Changes nothing.
--
-- ARGV from 5: id, worker under whose lease it was found, or '' (then the record's)
-- Returns {has a record, state, place, worker, has started; found: in its ready list, in the delayed set,
-- in the dead set, among what is held of its type, under that worker's lease; that worker is known, the index of
-- its state has it}
-- 1 and 0 where it is a yes or no. Looks through the whole ready list of its queue and priority.
local id = ARGV[5]
local rec = load(id)
local worker = ARGV[6] ~= '' and ARGV[6] or (rec and rec.worker) or ''
local function yes(value) return value and 1 or 0 end
return {
  yes(rec), rec and rec.state or '', rec and rec.place or '', rec and rec.worker or '', yes(rec and rec.started),
  yes(rec and redis.call('LPOS', ready_key(rec.queue, rec.priority), id)),
  yes(redis.call('ZSCORE', DELAYED, id)),
  yes(redis.call('ZSCORE', DEAD, id)),
  yes(rec and redis.call('ZSCORE', held_key(rec), id)),
  redis.call('SISMEMBER', P .. 'leased:' .. worker, id),
  yes(redis.call('ZSCORE', WORKERS, worker)),
  yes(rec and redis.call('ZSCORE', index_key(rec.tenant, 'state', rec.state), id)),
}
