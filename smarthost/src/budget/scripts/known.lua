-- What a node knows of the others is written down, where it is newer than what is there.
-- KEYS: 1 the nodes that have told all  2 the nodes
-- ARGV: 1 a moment, ms  2 how many they are  then node, time, and how many they were with one that
--       is gone for good since then, or nothing: it was heard then
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
for i = 3, #ARGV, 3 do
  local node, time, were = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local known = redis.call('HGET', KEYS[2], node) or ''
  local process, at = string.match(known, '^(%S+) (%d+)')
  at = tonumber(at or '-1')
  local gone = process == 'forgotten'
  local heard = process and not gone
  local there = heard and process ~= '-' and math.abs(now - at) < tonumber(ARGV[1])
  if were and not there and at < time then
    redis.call('HSET', KEYS[2], node, 'forgotten ' .. ARGV[i + 1] .. ' ' .. ARGV[i + 2])
    if were <= tonumber(ARGV[2]) then redis.call('SADD', KEYS[1], node) end
  elseif not were and not heard and at < time then
    redis.call('HSET', KEYS[2], node, '- ' .. ARGV[i + 1])
    if gone then redis.call('SREM', KEYS[1], node) end
  end
end
return 1
