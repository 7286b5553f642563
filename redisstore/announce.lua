-- Makes a process known that is alive, and forgets those that have not been
-- heard of for too long.
-- KEYS: 1 the instances, a sorted set by the time at which each was heard of
-- ARGV: 1 the instance, 2 the instance as it was announced before
--       3 for how many milliseconds an instance is remembered
-- Result: 1
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
if ARGV[2] ~= ARGV[1] then
  redis.call('ZREM', KEYS[1], ARGV[2])
end
redis.call('ZADD', KEYS[1], ms, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms - ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
