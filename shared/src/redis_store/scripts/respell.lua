-- Moves what is stored under one name to another. If both are there the newer one stays: that which
-- was started later, or else the one under the new name.
--
-- KEYS: the name before, the new name.
-- ARGV: the field of a hash with its start, '' for anything else.
-- Returns 1 if anything stood under the name before, else 0.

if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  local before, now = '', ''
  if ARGV[1] ~= '' then
    before = redis.call('HGET', KEYS[1], ARGV[1]) or ''
    now = redis.call('HGET', KEYS[2], ARGV[1]) or ''
  end
  if before <= now then
    redis.call('DEL', KEYS[1])
    return 1
  end
end
redis.call('RENAME', KEYS[1], KEYS[2])
return 1
