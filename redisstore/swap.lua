-- Replaces a record if its last write is the expected one, and tells of it.
-- KEYS: 1 the record, a hash
--       2 its history, a stream
--       3 the changes, a stream; left out if there is no news, and on a cluster,
--         where it is in another slot
-- ARGV: 1 the stamp REVISION.WRITE_ID of the record to replace; empty: there is none
--       2 the stamp of the new record
--       3 how many entries history and changes keep
--       4 the name, 5 the generation: for the entry in changes
--       6 N, then N strings: the fields and values of the new record
--       then for each entry in the history: N, then N strings
-- Result: {outcome, seconds, microseconds}
--         outcome 1: swapped, 2: had been swapped before, 0: another record is stored
local now = redis.call('TIME')
local stored = ''
if redis.call('EXISTS', KEYS[1]) == 1 then
  local stamp = redis.call('HMGET', KEYS[1], 'revision', 'write_id')
  stored = (stamp[1] or '') .. '.' .. (stamp[2] or '')
end
if stored == ARGV[2] then
  return {2, now[1], now[2]}
elseif stored ~= ARGV[1] then
  return {0, now[1], now[2]}
end

-- The streams come first: a script is not undone when a command in it fails,
-- and Redis refuses for lack of memory at the first write or not at all. So
-- whatever fails, the record is still the old one. For the same reason, the
-- record is written before its old fields are removed: to begin a mint that
-- could not be committed must fail.
if KEYS[3] then
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], '*', 'name', ARGV[4], 'generation', ARGV[5], 'stamp', ARGV[2])
end
local count = tonumber(ARGV[6])
local at = 7 + count
while ARGV[at] do
  local n = tonumber(ARGV[at])
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, at + 1, at + n))
  at = at + 1 + n
end
redis.call('HSET', KEYS[1], unpack(ARGV, 7, 6 + count))
local kept = {}
for i = 7, 6 + count, 2 do
  kept[ARGV[i]] = true
end
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if not kept[field] then
    redis.call('HDEL', KEYS[1], field)
  end
end
return {1, now[1], now[2]}
