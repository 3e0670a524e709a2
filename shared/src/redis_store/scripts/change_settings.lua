-- Begins a feed anew under other settings: lines carry no settings, so those of before differ from
-- later ones by their as-of alone. Generations go on rising; the history stays, for people.
--
-- KEYS: the warehouse's snapshot hash, its cycle hash, its ranges.
-- ARGV: fingerprint of the settings, since when they hold, the same in ms.
-- Returns 1 if done, 0 if the feed has these settings (and not only since an instant after this one,
-- by a clock that has been put back since) or none yet, -1 if that instant has
-- passed: a line that is stored already could be later than it.

local settings = redis.call('HGET', KEYS[1], 'settings')
local known, since = string.match(settings or '', '^(%x+)|(.+)$')
if not settings or (known == ARGV[1] and since <= ARGV[2]) then
  return 0
end
if now_ms >= tonumber(ARGV[3]) then
  return -1
end
local generation = redis.call('HGET', KEYS[1], 'generation') or '0'
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.call('HSET', KEYS[1], 'generation', generation, 'state', 'cold',
  'settings', ARGV[1] .. '|' .. ARGV[2], 'wanted', ARGV[2])
return 1
