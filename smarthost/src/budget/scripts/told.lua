-- A node has told all that it knows in this epoch, or is gone for good.
-- KEYS: 1 the epoch  2 the nodes that have told all in it
-- ARGV: 1 the epoch, or nothing for the one that is  2 node
local epoch = redis.call('GET', KEYS[1])
if ARGV[1] ~= '' and epoch ~= ARGV[1] then return 0 end
redis.call('SADD', KEYS[2], ARGV[2])
return 1
