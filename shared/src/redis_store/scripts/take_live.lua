-- Announces that D365 will be asked about SKUs now, unless somebody else has announced it.
--
-- KEYS: the announcements of the SKUs, each once.
-- ARGV: time to live in ms, asker, warehouses.
-- Returns for each SKU '' if it is the asker's now, 'again' if it is and somebody asked a moment ago,
-- else what stands there.

local answers = {}
for at, key in ipairs(KEYS) do
  local seen = redis.call('GET', key)
  local stage = seen and string.match(seen, '^(%a+)|')
  if stage == 'waiting' or stage == 'asking' then
    answers[at] = seen
  else
    local told = seen and string.match(seen, '^%a+|[^|]*|([^|]*|[^|]*)|') or '-|-'
    redis.call('SET', key, 'waiting|' .. ARGV[2] .. '|' .. told .. '|' .. ARGV[3], 'PX', ARGV[1])
    answers[at] = stage and 'again' or ''
  end
end
return answers
