-- Removes a lock whose obtain got no answer. redislock can only release a lock
-- that it knows to hold.
-- KEYS: 1 the lock, a string
-- ARGV: 1 the value that it was to be taken with
-- Result: 1 if it was removed, else 0
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
