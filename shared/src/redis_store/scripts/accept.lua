-- An operator believes a quarantined cycle: it counts as the snapshot it would have been, and the
-- guard learns its size from it.
--
-- KEYS: the warehouse's snapshot hash, its history.
-- ARGV: generation ('' = the one that ended last), who, when, '1' if no rows at all may be believed,
--       length of the history.
-- Returns two texts: 'accepted' and the generation, or why not and what there is instead.

local record = KEYS[1]
local sealed = redis.call('HGET', record, 'sealed')
if not sealed then
  return { 'nothing-read', '' }
end
if ARGV[1] ~= '' and ARGV[1] ~= sealed then
  return { 'another-cycle', sealed }
end
local state = redis.call('HGET', record, 'sealed_state') or ''
if state ~= 'quarantined' then
  return { 'not-quarantined', state }
end
local kind = redis.call('HGET', record, 'reason_kind') or ''
if kind == 'foreign-rows' or (kind == 'empty' and ARGV[4] ~= '1') then
  return { kind, sealed }
end
local started = redis.call('HGET', record, 'sealed_started')
local watermark = redis.call('HGET', record, 'watermark')
if not started or (watermark and started <= watermark) then
  return { 'another-cycle', sealed }
end
if watermark and watermark == redis.call('HGET', record, 'proved') then
  redis.call('HSET', record, 'previous_watermark', watermark)
else
  redis.call('HDEL', record, 'previous_watermark')
end
redis.call('HSET', record, 'watermark', started, 'state', 'complete', 'sealed_state', 'complete',
  'recent_rows', redis.call('HGET', record, 'rows'), 'accepted_by', ARGV[2],
  'proved', redis.call('HGET', record, 'sealed_proved') or '')
redis.call('HDEL', record, 'reason', 'reason_kind')
local entry = cjson.decode(redis.call('LINDEX', KEYS[2], 0) or '{}')
entry.accepted_by, entry.accepted_at, entry.state = ARGV[2], ARGV[3], 'complete'
redis.call('LPUSH', KEYS[2], cjson.encode(entry))
redis.call('LTRIM', KEYS[2], 0, tonumber(ARGV[5]) - 1)
return { 'accepted', sealed }
