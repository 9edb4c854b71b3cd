-- What administrators have ordered is written down, where it is still as it was read.
-- KEYS: 1 what administrators have ordered
-- ARGV: 1 a name for what is there then, as the field without a name  then client, was, is …
local changed = 0
for i = 2, #ARGV, 3 do
  if (redis.call('HGET', KEYS[1], ARGV[i]) or '') == ARGV[i + 1] then
    if ARGV[i + 2] == '' then
      redis.call('HDEL', KEYS[1], ARGV[i])
    else
      redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
    end
    changed = changed + 1
  end
end
redis.call('HSET', KEYS[1], '', ARGV[1])
return changed
