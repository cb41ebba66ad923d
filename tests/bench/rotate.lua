-- What wrk sends: one bearer token after the other from a file, over and over; as fast as it is
-- answered, or with MEAN_PAUSE in the environment after pauses of so many milliseconds in the mean.
-- Arguments, behind wrk's own `--`: FILE START AUTHORITY.

local requests, position = {}, 0
local mean_pause = tonumber(os.getenv("MEAN_PAUSE"))

function init(args)
   for token in io.lines(args[1]) do
      local headers = { Host = args[3], Authorization = "Bearer " .. token }
      requests[#requests + 1] = wrk.format("GET", nil, headers)
   end
   position = tonumber(args[2]) % #requests
end

function request()
   position = position % #requests + 1
   return requests[position]
end

-- wrk calls this before each request, if it is there. Such pauses make requests of many connections
-- arrive as those of many clients do, who know nothing of each other: by a Poisson process.
if mean_pause then
   function delay()
      return math.floor(0.5 - mean_pause * math.log(1 - math.random()))
   end
end

function done(summary, latency)
   local e = summary.errors
   io.write(string.format(
      'bench {"requests": %d, "microseconds": %d, "non_2xx": %d, "socket_errors": %d, ' ..
      '"p50": %d, "p99": %d, "p999": %d}\n',
      summary.requests, summary.duration, e.status, e.connect + e.read + e.write + e.timeout,
      latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
