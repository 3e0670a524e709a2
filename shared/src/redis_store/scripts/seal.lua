-- Records how a cycle ended and closes it. Only the cycle that began last may, so its start is the
-- latest; a watermark after it is corrupt. The start is compared as well as the generation: after Redis came back empty,
-- generations begin again, and the end of a cycle from before must not vouch for lines that are
-- gone.
--
-- KEYS: the warehouse's snapshot hash, its cycle hash, its ranges, its history.
-- ARGV: generation, state, started, completed, rows, pages, reason, hash, next due, entry of the
--       history, length of the history, kind of the reason; then the borders of the next cycle's
--       parts.
-- `proved` is the watermark that proves absence: a version with another rule for names moves the
-- watermark alone, and its lines stand under names nobody looks for.
--
-- Returns 1 if recorded, 0 if a later cycle has begun, 2 if it can only be partial: another server
-- has taken over since it was opened, and lines that were stored before may be lost with the old one.

local record = KEYS[1]
if redis.call('HGET', record, 'generation') ~= ARGV[1]
  or redis.call('HGET', record, 'started') ~= ARGV[3] then
  return 0
end
if ARGV[2] ~= 'partial' then
  local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
    .. string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
  if redis.call('HGET', KEYS[2], 'server') ~= server then
    return 2
  end
end
local function count(field)
  return tonumber(redis.call('HGET', KEYS[2], field) or '0')
end
local proved = count('parts') - count('open') == count('own_ends') and ARGV[3] or ''
redis.call('HSET', record, 'state', ARGV[2], 'completed', ARGV[4], 'rows', ARGV[5],
  'pages', ARGV[6], 'next_due', ARGV[9], 'sealed', ARGV[1], 'sealed_state', ARGV[2],
  'sealed_started', ARGV[3], 'sealed_proved', proved)
redis.call('HDEL', record, 'reason_kind', 'accepted_by')
if ARGV[7] == '' then
  redis.call('HDEL', record, 'reason')
else
  redis.call('HSET', record, 'reason', ARGV[7], 'reason_kind', ARGV[12])
end
if ARGV[2] == 'complete' then
  local watermark = redis.call('HGET', record, 'watermark')
  if watermark and (watermark > ARGV[3] or watermark ~= redis.call('HGET', record, 'proved')) then
    -- Set by a clock that has been put right since (the last cycle to begin began after it), or proving
    -- no absence.
    redis.call('HDEL', record, 'watermark', 'previous_watermark')
    watermark = nil
  end
  if not watermark or ARGV[3] > watermark then
    if watermark then
      redis.call('HSET', record, 'previous_watermark', watermark)
    end
    redis.call('HSET', record, 'watermark', ARGV[3], 'hash', ARGV[8], 'proved', proved)
  end
  local recent = { ARGV[5] }
  for rows in string.gmatch(redis.call('HGET', record, 'recent_rows') or '', '%d+') do
    if #recent < 10 then
      recent[#recent + 1] = rows
    end
  end
  redis.call('HSET', record, 'recent_rows', table.concat(recent, ','))
  redis.call('DEL', KEYS[3])
  for at = 13, #ARGV do
    redis.call('RPUSH', KEYS[3], ARGV[at])
  end
end
redis.call('LPUSH', KEYS[4], ARGV[10])
redis.call('LTRIM', KEYS[4], 0, tonumber(ARGV[11]) - 1)
redis.call('DEL', KEYS[2])
return 1
