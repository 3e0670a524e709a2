-- Opens a cycle: the generation rises by one, the start is noted, the warehouse's parts become due,
-- and the warehouse itself is given back. Refused if somebody else has opened one since the caller looked.
--
-- KEYS: the warehouse's snapshot hash, its cycle hash, the due set, its shard hash.
-- ARGV: warehouse, the generation the caller saw, started, ms until the cycle is looked after again,
--       fingerprint of the settings it is read with ('' = not known);
--       then for each part: the item it begins after, the last item it holds ('' = no border).
-- Returns the generation, or 0 if refused.

if (redis.call('HGET', KEYS[1], 'generation') or '0') ~= ARGV[2]
  or redis.call('EXISTS', KEYS[2]) == 1 then
  return 0
end
if ARGV[5] ~= '' then
  local settings = redis.call('HGET', KEYS[1], 'settings')
  if settings and string.match(settings, '^(%x+)|') ~= ARGV[5] then
    return 0
  end
  if not settings then
    -- A record of a version before fingerprints is believed as it stands; a feed that was never read
    -- begins here, whichever version stored lines of it before.
    local is_old = redis.call('HEXISTS', KEYS[1], 'generation') == 1
    local since = is_old and '1970-01-01T00:00:00.000Z' or ARGV[3]
    redis.call('HSET', KEYS[1], 'settings', ARGV[5] .. '|' .. since)
  end
  redis.call('HSET', KEYS[2], 'settings', ARGV[5])
end
local generation = redis.call('HINCRBY', KEYS[1], 'generation', 1)
redis.call('HSET', KEYS[1], 'started', ARGV[3])
local state = redis.call('HGET', KEYS[1], 'state')
if not state or state == 'cold' then
  redis.call('HSET', KEYS[1], 'state', 'warming')
end
-- Which server it was opened on: see the script that seals it.
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  .. string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
local parts = (#ARGV - 5) / 2
redis.call('HSET', KEYS[2], 'generation', generation, 'started', ARGV[3], 'parts', parts,
  'open', parts, 'server', server)
for part = 1, parts do
  local after, up_to = ARGV[4 + part * 2], ARGV[5 + part * 2]
  if after ~= '' then
    redis.call('HSET', KEYS[2], 'after:' .. part, after)
  end
  if up_to ~= '' then
    redis.call('HSET', KEYS[2], 'up_to:' .. part, up_to)
  end
  -- Scores from 1 on: what is begun is finished before anything else is begun.
  redis.call('ZADD', KEYS[3], part, ARGV[1] .. '#' .. generation .. '/' .. part)
end
redis.call('ZADD', KEYS[3], string.format('%d', now_ms + tonumber(ARGV[4])), ARGV[1])
redis.call('HDEL', KEYS[4], 'holder', 'lease_until', 'taken')
return generation
