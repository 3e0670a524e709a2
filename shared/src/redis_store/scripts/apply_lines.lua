-- Applies stock lines, each only if it is newer than the stored one; at the same instant a live
-- answer beats a snapshot. A stamp more than five seconds ahead of this server's clock is corrupt:
-- a stored one is overwritten, an offered one refused.
--
-- A hash that gets nothing but absences lives shortly, or as long as it would have: callers
-- may ask about SKUs that D365 does not know.
--
-- KEYS: the stock hashes of the lines, each once.
-- ARGV: time to live in ms, shortest one in ms; then for each line: number of its key in KEYS, warehouse, as-of, "1" if
--       live, value.
-- Returns for each line: 0 refused older, 1 applied, 2 applied over corrupt, 3 refused future.
--
-- Stamps are fixed-width ISO 8601 and compared as text. Quantities are never touched.

local function latest_true_stamp()
  local seconds = tonumber(now[1]) + 5
  local ms = math.floor(tonumber(now[2]) / 1000)
  -- Days since 1970 to year, month, day (proleptic Gregorian, years counted from March).
  local days = math.floor(seconds / 86400) + 719468
  local rest = seconds % 86400
  local era = math.floor(days / 146097)
  local day_of_era = days % 146097
  local year_of_era = math.floor((day_of_era - math.floor(day_of_era / 1460)
    + math.floor(day_of_era / 36524) - math.floor(day_of_era / 146096)) / 365)
  local day_of_year = day_of_era
    - (365 * year_of_era + math.floor(year_of_era / 4) - math.floor(year_of_era / 100))
  local shifted_month = math.floor((5 * day_of_year + 2) / 153)
  local day = day_of_year - math.floor((153 * shifted_month + 2) / 5) + 1
  local month = shifted_month < 10 and shifted_month + 3 or shifted_month - 9
  local year = year_of_era + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day,
    math.floor(rest / 3600), math.floor(rest % 3600 / 60), rest % 60, ms)
end

local latest = latest_true_stamp()
local ttl, shortest_ttl = ARGV[1], ARGV[2]
local verdicts = {}
local touched = {}
for at = 3, #ARGV, 5 do
  local key = KEYS[tonumber(ARGV[at])]
  local warehouse, as_of, is_live, value = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local verdict
  if as_of > latest then
    verdict = 3
  else
    local stored = redis.call('HGET', key, warehouse)
    if not stored then
      verdict = 1
    else
      local stored_as_of, stored_origin =
        string.match(stored, '|(%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ)|([^|]+)$')
      if not stored_as_of or stored_as_of > latest then
        verdict = 2
      elseif as_of > stored_as_of
        or (as_of == stored_as_of and is_live == '1' and stored_origin ~= 'live') then
        verdict = 1
      else
        verdict = 0
      end
    end
  end
  if verdict == 1 or verdict == 2 then
    redis.call('HSET', key, warehouse, value)
    touched[key] = touched[key] or string.sub(value, 1, 7) ~= 'absent|'
  end
  verdicts[#verdicts + 1] = verdict
end
for key, has_quantities in pairs(touched) do
  if has_quantities then
    redis.call('PEXPIRE', key, ttl)
  elseif redis.call('PTTL', key) < tonumber(shortest_ttl) then
    redis.call('PEXPIRE', key, shortest_ttl)
  end
end
return verdicts
