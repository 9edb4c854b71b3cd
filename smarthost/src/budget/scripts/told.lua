-- A node has told all that it knows in this epoch; so many have. 0: it is another epoch.
-- KEYS: 1 the epoch  2 the nodes that have told all in it
-- ARGV: 1 the epoch  2 node
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SADD', KEYS[2], ARGV[2])
return redis.call('SCARD', KEYS[2])
