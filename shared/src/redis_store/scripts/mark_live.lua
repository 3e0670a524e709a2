-- Says how far the asker of a live question is; only where the announcement is still its own.
--
-- KEYS: the announcements of the SKUs, each once.
-- ARGV: asker, then for each SKU the stage and the as-of of the stored answer, '' without one.
-- Returns how many were changed.

local changed = 0
for at, key in ipairs(KEYS) do
  local seen = redis.call('GET', key)
  local asker, told, warehouses = string.match(seen or '', '^%a+|([^|]*)|([^|]*|[^|]*)|(.*)$')
  if asker == ARGV[1] then
    local stage, as_of = ARGV[2 * at], ARGV[2 * at + 1]
    if as_of ~= '' then
      told = asker .. '|' .. as_of
    end
    redis.call('SET', key, table.concat({ stage, asker, told, warehouses }, '|'), 'KEEPTTL')
    changed = changed + 1
  end
end
return changed
